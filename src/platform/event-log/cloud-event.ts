import type { StoredEvent } from './stored-event';

/** An event as it is told to others: CloudEvents 1.0, in its JSON format. */
export interface CloudEvent {
  readonly specversion: '1.0';
  /** Unique together with `source`; the same in every delivery. */
  readonly id: string;
  /** What kind of thing it happened to: `/batchwise/product`, `/batchwise/threshold`. */
  readonly source: string;
  /** The wire name and version of the kind of event: `allocation.allocated.v1`. */
  readonly type: string;
  /** Which one of them: the SKU of a product, the pattern of a threshold. */
  readonly subject: string;
  /** ISO instant with microseconds. */
  readonly time: string;
  readonly datacontenttype: 'application/json';
  /** The `$id` of the JSON Schema of its data, which is served at `/docs/events/<type>.json`. */
  readonly dataschema: string;
  /** Its place among the events of its source and subject: 1, 2, 3 … without a gap. */
  readonly version: number;
  /** The same as a text that sorts by that order (the extension `sequence` of CloudEvents). */
  readonly sequence: string;
  /** What one request led to; absent where nobody knows. */
  readonly correlationid?: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Names the JSON Schema of the data of a kind of event. */
export const dataSchemaOf = (type: string): string => `urn:batchwise:event:${type}`;

const digits = String(Number.MAX_SAFE_INTEGER).length;

/** The event as a CloudEvent: a function of the event alone, so that it is the same whenever and however it is told. */
export function toCloudEvent({
  id,
  type,
  stream,
  version,
  occurredAt,
  correlationId,
  data,
}: Omit<StoredEvent, 'transactionId' | 'position' | 'actor' | 'causationId'>): CloudEvent {
  const colon = stream.indexOf(':');
  return {
    specversion: '1.0',
    id,
    source: `/batchwise/${stream.slice(0, colon)}`,
    type,
    subject: stream.slice(colon + 1),
    time: occurredAt,
    datacontenttype: 'application/json',
    dataschema: dataSchemaOf(type),
    version,
    sequence: String(version).padStart(digits, '0'),
    ...(correlationId !== null && { correlationid: correlationId }),
    data,
  };
}
