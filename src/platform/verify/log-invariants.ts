import { QueriedInvariant } from './invariant';

class VersionsHaveNoGap extends QueriedInvariant {
  readonly name = 'every stream has the versions 1, 2, 3 … without a gap';
  protected readonly query = `
    SELECT format('%s: %s events, the first is version %s and the last %s',
                  stream, count(*), min(version), max(version)) AS broken
    FROM platform.event GROUP BY stream HAVING min(version) <> 1 OR max(version) <> count(*)`;
}

class TimeGoesForward extends QueriedInvariant {
  readonly name = 'time never goes back in a stream';
  protected readonly query = `
    SELECT format('%s version %s: %s, before its predecessor', stream, version, occurred_at) AS broken
    FROM (SELECT *, lag(occurred_at) OVER (PARTITION BY stream ORDER BY version) AS before FROM platform.event) AS e
    WHERE occurred_at < before`;
}

class LogKeepsTheOrderOfStreams extends QueriedInvariant {
  readonly name = 'the log has the events of a stream in the order of their versions';
  protected readonly query = `
    SELECT format('%s version %s: delivered before its predecessor', stream, version) AS broken
    FROM (
      SELECT *, lag(transaction_id) OVER by_version AS id_before, lag(position) OVER by_version AS position_before
      FROM platform.event WINDOW by_version AS (PARTITION BY stream ORDER BY version)
    ) AS e
    WHERE (transaction_id, position) <= (id_before, position_before)`;
}

class CheckpointsLieWithinTheLog extends QueriedInvariant {
  readonly name = 'no checkpoint lies beyond the log';
  protected readonly query = `
    SELECT format('%s: (%s, %s), the log ends at (%s, %s)',
                  s.name, s.transaction_id, s.position, coalesce(e.transaction_id, '0'), coalesce(e.position, 0)) AS broken
    FROM platform.subscriber AS s LEFT JOIN (
      SELECT transaction_id, position FROM platform.event ORDER BY transaction_id DESC, position DESC LIMIT 1
    ) AS e ON true
    WHERE (s.transaction_id, s.position) > (coalesce(e.transaction_id, '0'), coalesce(e.position, 0))`;
}

class ParkedEventsAreKnown extends QueriedInvariant {
  readonly name = 'every parked event is in the log, and its subscriber has come that far';
  protected readonly query = `
    SELECT format('%s, %s version %s: %s', p.subscriber, p.stream, p.version,
                  CASE WHEN e.stream IS NULL THEN 'not in the log' ELSE 'beyond the checkpoint' END) AS broken
    FROM platform.undelivered_event AS p
    LEFT JOIN platform.event AS e USING (stream, version)
    LEFT JOIN platform.subscriber AS s ON s.name = p.subscriber
    WHERE e.stream IS NULL OR s.name IS NULL
       OR (e.transaction_id, e.position) > (s.transaction_id, s.position)`;
}

/** What holds for the event log and its subscribers, whatever the events say. */
export const logInvariants = [
  VersionsHaveNoGap,
  TimeGoesForward,
  LogKeepsTheOrderOfStreams,
  CheckpointsLieWithinTheLog,
  ParkedEventsAreKnown,
];
