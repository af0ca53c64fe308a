import {
  Allocated,
  Backordered,
  BatchCancelled,
  BatchCreated,
  BatchEtaChanged,
  BatchQuantityChanged,
  Deallocated,
  OutOfStock,
  streamOf,
} from '../../allocation/contract/events';
import type { DomainEvent } from '../../kernel/event';
import type { Queryable } from '../../platform/database/database';
import { readStreamInTurn } from '../../platform/event-log/read-in-turn';
import type { StoredEvent } from '../../platform/event-log/stored-event';
import type { StockChange } from '../domain/stock-change';

/** A change of stock and the event that tells it. */
export interface RecordedChange {
  readonly event: StoredEvent;
  readonly change: StockChange;
}

/**
 * The changes of a SKU's stock, oldest first and a chunk at a time, up to an instant (ISO, included) or up to now. Events of
 * one step have one instant, so what has been read to its end was so at some moment, whatever is written meanwhile.
 */
export async function* replay(
  database: Queryable,
  sku: string,
  asOf?: string,
): AsyncGenerator<readonly RecordedChange[]> {
  for await (const events of readStreamInTurn(database, streamOf(sku), asOf))
    yield events.map((event) => ({ event, change: changeOf(event) }));
}

/** An event of allocation in the words of inventory. @throws RangeError if inventory does not know its type */
export function changeOf({ stream, version, type, data }: StoredEvent): StockChange {
  const translation = translations.get(type);
  if (!translation) throw new RangeError(`${stream} version ${version}: ${type} is nothing that inventory knows`);
  return translation(data as never);
}

const translate = <E extends DomainEvent>(
  event: { readonly type: string; readonly prototype: E },
  change: (data: E['data']) => StockChange,
): readonly [string, (data: never) => StockChange] => [event.type, change];

const translations = new Map([
  translate(BatchCreated, ({ ref, qty, eta }) => ({ kind: 'batch-created', ref, qty, eta })),
  translate(BatchQuantityChanged, ({ ref, qty, previousQty }) => ({ kind: 'batch-quantity', ref, qty, previousQty })),
  translate(BatchEtaChanged, ({ ref, eta }) => ({ kind: 'batch-eta', ref, eta })),
  translate(BatchCancelled, ({ ref }) => ({ kind: 'batch-cancelled', ref })),
  translate(Allocated, (line) => ({ ...line, kind: 'promised' })),
  translate(Deallocated, ({ batchRef, ...line }) =>
    batchRef === null ? { ...line, kind: 'left-queue' } : { ...line, kind: 'released', batchRef },
  ),
  translate(Backordered, (line) => ({ ...line, kind: 'waiting' })),
  translate(OutOfStock, (line) => ({ ...line, kind: 'refused' })),
]);
