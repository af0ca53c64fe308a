import { Injectable } from '@nestjs/common';
import { toCloudEvent } from '../event-log/cloud-event';
import type { StoredEvent } from '../event-log/stored-event';
import { Lost } from '../event-log/subscriber';
import { BrokerPublisher } from './broker.publisher';

const stream = 'batchwise.events';

/**
 * Appends events if the entry that was appended last is still there, in one step: nobody sees events of today in a stream
 * that lacks those of yesterday.
 */
const append = `
  local last = ARGV[1]
  if last ~= '' and #redis.call('XRANGE', KEYS[1], last, last) == 0 then return false end
  for i = 3, #ARGV, 5 do
    last = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'id', ARGV[i], 'type', ARGV[i + 1],
      'subject', ARGV[i + 2], 'version', ARGV[i + 3], 'data', ARGV[i + 4])
  end
  return last`;

/** The fields of an entry: attributes of the CloudEvent, and its data as JSON. */
function fieldsOf(event: StoredEvent): string[] {
  const { id, type, subject, version, data } = toCloudEvent(event);
  return [id, type, subject, String(version), JSON.stringify(data)];
}

/**
 * The durable stream of all events, in order per subject. A Redis that has lost it gets the last events again, as many as the
 * stream holds; readers tell them by their ids.
 */
@Injectable()
export class EventStreamPublisher extends BrokerPublisher {
  readonly name = 'batchwise-events';

  /** @returns the id of the last entry */
  async publish(events: readonly StoredEvent[], receipt: string | null): Promise<string> {
    const { streamLength } = this.broker;
    const fields = events.flatMap(fieldsOf);
    const last = await this.broker.use((redis) =>
      redis.eval(append, 1, stream, receipt ?? '', streamLength, ...fields),
    );
    if (typeof last === 'string') return last;
    throw new Lost(`Redis has lost entry ${receipt} of ${stream}: it gets ${streamLength} events again`, streamLength);
  }

  override async check(receipt: string): Promise<void> {
    await this.publish([], receipt);
  }
}
