import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { Database } from '../database/database';
import { instantOf } from '../database/instants';
import { Relay } from '../event-log/relay';
import { Projection, Publisher } from '../event-log/subscriber';
import { providersOf } from '../providers';

/** How far a subscriber of the event log is, and who works it. */
export interface Standing {
  readonly name: string;
  /** `unknown`: this version of the service has no such subscriber. */
  readonly kind: 'projection' | 'publisher' | 'reaction' | 'unknown';
  /** The place of the last event that it has dealt with. */
  readonly transactionId: string;
  readonly position: string;
  /** Events behind that place, 100,000 at most, and the age of the oldest of them. */
  readonly lagEvents: number;
  readonly lagSeconds: number;
  /** The replica that works it, and how long its lease holds if it is not renewed; null: nobody does. */
  readonly owner: string | null;
  readonly leaseUntil: string | null;
  /** Events that wait for another attempt, or behind one that does; and those that failed for the last time. */
  readonly parked: number;
  readonly dead: number;
}

const standings = {
  text: `
    SELECT s.name, s.transaction_id::text AS "transactionId", s.position::text AS position,
           lag.events AS "lagEvents", lag.seconds AS "lagSeconds",
           CASE WHEN is_leased THEN s.owner::text END AS owner,
           CASE WHEN is_leased THEN ${instantOf('s.lease_until')} END AS "leaseUntil",
           p.parked, p.dead
    FROM (
      SELECT name, transaction_id, position, owner, lease_until FROM platform.subscriber
      UNION ALL
      SELECT name, '0', 0, NULL, '-infinity' FROM unnest($1::text[]) AS here (name)
      WHERE name NOT IN (SELECT name FROM platform.subscriber)
    ) AS s
    CROSS JOIN LATERAL (SELECT s.owner IS NOT NULL AND s.lease_until > clock_timestamp() AS is_leased) AS lease
    CROSS JOIN LATERAL (
      SELECT count(*)::int AS events,
             coalesce(extract(epoch FROM clock_timestamp() - min(occurred_at)), 0)::float8 AS seconds
      FROM (
        SELECT occurred_at FROM platform.event WHERE (transaction_id, position) > (s.transaction_id, s.position)
        ORDER BY transaction_id, position LIMIT 100000
      ) AS behind
    ) AS lag
    CROSS JOIN LATERAL (
      SELECT (count(*) FILTER (WHERE dead_at IS NULL))::int AS parked,
             (count(*) FILTER (WHERE dead_at IS NOT NULL))::int AS dead
      FROM platform.parked_event WHERE subscriber = s.name
    ) AS p
    ORDER BY s.name`,
};

/** The subscribers of the event log: those of this version of the service, and those that the database remembers. */
@Injectable()
export class Subscriptions {
  constructor(
    private readonly database: Database,
    private readonly relay: Relay,
    private readonly discovery: DiscoveryService,
  ) {}

  async standings(): Promise<Standing[]> {
    const kinds = this.kinds();
    const rows = await this.database.query<Omit<Standing, 'kind'>>(standings, [this.relay.names]);
    return rows.map((row) => ({ ...row, kind: kinds.get(row.name) ?? 'unknown' }));
  }

  private kinds(): Map<string, Standing['kind']> {
    const kinds = new Map<string, Standing['kind']>(this.relay.names.map((name) => [name, 'reaction']));
    for (const { name } of providersOf(this.discovery, Projection)) kinds.set(name, 'projection');
    for (const { name } of providersOf(this.discovery, Publisher)) kinds.set(name, 'publisher');
    return kinds;
  }
}
