import { Id } from '../http/fields';
import { type BrokerMessage, InvalidMessage, largest, type Request, requestOf } from './broker-message';

/** An entry of a stream: its key in Redis, and names and values in turn; null: it was removed before it was read. */
export interface Entry {
  readonly key: string;
  readonly fields: readonly Buffer[] | null;
}

/** What an entry asks for, and the id by which it is known when it comes again. */
export interface EntryRequest extends Request {
  readonly id: string;
}

/** Reads an entry with the fields `id`, `type` and `data`; others are ignored. @throws InvalidMessage */
export function readEntry(fields: readonly Buffer[], kinds: ReadonlyMap<string, BrokerMessage>): EntryRequest {
  const field = (name: string): Buffer => {
    const place = fields.findIndex((value, at) => at % 2 === 0 && value.equals(Buffer.from(name)));
    if (place < 0) throw new InvalidMessage(`no field ${name}`);
    return fields[place + 1]!;
  };
  const id = Id.safeParse(field('id').toString());
  if (!id.success) throw new InvalidMessage(`id: ${id.error.issues[0]!.message}`);
  const kind = kinds.get(field('type').toString());
  if (!kind) throw new InvalidMessage(`type: one of ${[...kinds.keys()].sort().join(', ')} is allowed`);
  return { id: id.data, ...requestOf(kind, field('data')) };
}

/** How much of an entry is looked at, and kept if it is dead: fields, and bytes of each of their names and values. */
export const looked = { fields: 16, bytes: largest + 1 };

/** An entry without what nobody looks at. */
export const cut = ({ key, fields }: Entry): Entry => ({
  key,
  fields: fields && fields.slice(0, 2 * looked.fields).map((value) => value.subarray(0, looked.bytes)),
});

/** The entry that says of another one why it can never succeed, and keeps it, cut where it is very large. */
export const deadEntry = ({ key, fields }: Entry, reason: string): (string | Buffer)[] => [
  'reason',
  reason,
  'entry',
  key,
  ...(fields ?? []).map((value) => value.subarray(0, largest)),
];
