import { QueriedInvariant } from '../../platform/verify/invariant';

/** Whether the deliveries of an event `e`, written by a subscriber `s`, must all be there. */
export const isKept = `
  NOT EXISTS (
    SELECT FROM notifications.horizon AS h
    WHERE h.subscriber = s.name AND (e.transaction_id, e.position) <= (h.transaction_id, h.position)
  )`;

/** A horizon that lies too far ahead would hide what is missing. */
export class OnlyOldDeliveriesAreForgotten extends QueriedInvariant {
  readonly name = 'deliveries were forgotten only of events that were dealt with';
  protected readonly query = `
    SELECT format('%s: forgotten up to %s/%s, which it has not come to', h.subscriber, h.transaction_id, h.position) AS broken
    FROM notifications.horizon AS h
    LEFT JOIN platform.subscriber AS s
      ON s.name = h.subscriber AND (h.transaction_id, h.position) <= (s.transaction_id, s.position)
    WHERE s.name IS NULL`;
}
