import type { Corruptions } from '../support/corruptions';

/** They need streams `order:a` and `order:b` of a few versions each, and a subscriber `reader` that has read half of them. */
export const platformCorruptions: Corruptions = {
  'every stream has the versions 1, 2, 3 … without a gap': {
    'an event in between is lost': `DELETE FROM platform.event WHERE stream = 'order:a' AND version = 2`,
    'the first event is lost': `DELETE FROM platform.event WHERE stream = 'order:a' AND version = 1`,
  },
  'time never goes back in a stream': {
    'an event is a microsecond too early': `
      UPDATE platform.event SET occurred_at = '2026-01-01 00:00:00.999999Z' WHERE stream = 'order:a' AND version = 2`,
  },
  'the log has the events of a stream in the order of their versions': {
    'a later version has an earlier transaction': `
      UPDATE platform.event SET transaction_id = '1' WHERE stream = 'order:a' AND version = 2`,
    'two versions of one transaction are swapped': `
      UPDATE platform.event SET transaction_id = '9', position = 100 - version WHERE stream = 'order:a'`,
  },
  'no checkpoint lies beyond the log': {
    'a subscriber has read what was never written': `UPDATE platform.subscriber SET transaction_id = '7', position = 8`,
    'a subscriber has read a later transaction': `UPDATE platform.subscriber SET transaction_id = '99999999'`,
    'the log is empty': 'DELETE FROM platform.event',
  },
  'every parked event is in the log, and its subscriber has come that far': {
    'a parked event is not in the log': `
      INSERT INTO platform.parked_event (subscriber, stream, version, attempts) VALUES ('reader', 'order:c', 1, 1)`,
    'a parked event was not read yet': `
      INSERT INTO platform.parked_event (subscriber, stream, version, attempts) VALUES ('reader', 'order:b', 3, 1)`,
  },
  // Kept in a transaction of its own, so that it is broken for real: see the test of it.
  'every projection equals a fresh fold of the log up to its checkpoint': {},
};
