import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { Database } from '../database/database';
import { Relay } from '../event-log/relay';
import { Projection, Publisher } from '../event-log/subscriber';
import { parsed } from './arguments';
import { CliCommand, type Terminal } from './cli-command';
import { providersOf } from '../providers';
import { table } from './terminal';

interface SubscriberRow {
  readonly name: string;
  readonly position: string;
  readonly events: string;
  readonly seconds: number;
  readonly owner: string | null;
  readonly parked: string;
  readonly dead: string;
}

const subscribers = {
  text: `
    SELECT s.name, s.position::text AS position, lag.events::text AS events, lag.seconds::float8 AS seconds,
           CASE WHEN s.lease_until > clock_timestamp() THEN s.owner::text END AS owner,
           p.parked::text AS parked, p.dead::text AS dead
    FROM (
      SELECT name, transaction_id, position, owner, lease_until FROM platform.subscriber
      UNION ALL
      SELECT name, '0', 0, NULL, '-infinity' FROM unnest($1::text[]) AS here (name)
      WHERE name NOT IN (SELECT name FROM platform.subscriber)
    ) AS s
    CROSS JOIN LATERAL (
      SELECT count(*) AS events, coalesce(extract(epoch FROM clock_timestamp() - min(occurred_at)), 0) AS seconds
      FROM (
        SELECT occurred_at FROM platform.event WHERE (transaction_id, position) > (s.transaction_id, s.position)
        ORDER BY transaction_id, position LIMIT 100000
      ) AS behind
    ) AS lag
    CROSS JOIN LATERAL (
      SELECT count(*) FILTER (WHERE dead_at IS NULL) AS parked, count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead
      FROM platform.parked_event WHERE subscriber = s.name
    ) AS p
    ORDER BY s.name`,
};

@Injectable()
export class SubscribersCommand extends CliCommand {
  readonly name = 'subscribers';
  readonly usage = '';
  readonly summary = 'Shows who reads the event log, how far behind they are, and what they could not digest.';

  constructor(
    private readonly database: Database,
    private readonly relay: Relay,
    private readonly discovery: DiscoveryService,
  ) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    parsed(args, {});
    const rows = await this.database.query<SubscriberRow>(subscribers, [this.relay.names]);
    const kinds = this.kinds();
    const header = ['subscriber', 'kind', 'position', 'behind', 'seconds', 'parked', 'dead', 'worked by'];
    const lines = rows.map(({ name, position, events, seconds, parked, dead, owner }) => {
      const kind = kinds.get(name) ?? 'unknown';
      return [name, kind, position, events, seconds.toFixed(1), parked, dead, owner ?? 'nobody'];
    });
    for (const line of table([header, ...lines])) terminal.out(line);
    return 0;
  }

  private kinds(): Map<string, string> {
    const kinds = new Map(this.relay.names.map((name) => [name, 'reaction']));
    for (const { name } of providersOf(this.discovery, Projection)) kinds.set(name, 'projection');
    for (const { name } of providersOf(this.discovery, Publisher)) kinds.set(name, 'publisher');
    return kinds;
  }
}
