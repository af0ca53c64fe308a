import { Client } from 'pg';

/** What was acknowledged to clients of a database, to be compared with what it holds. */
export class Ledger {
  private acknowledged = 0;
  private perhaps = 0;

  /** Notes what a load was told. */
  add<Report extends { readonly acknowledged: number; readonly unanswered: number }>(report: Report): Report {
    this.acknowledged += report.acknowledged;
    this.perhaps += report.unanswered;
    return report;
  }

  /**
   * Compares it with the database: nothing is oversold, nothing acknowledged is lost, nothing was done twice.
   * @param seeded lines that were there before
   * @throws if something is not as it was acknowledged
   */
  async audit(databaseUrl: string, seeded = 0): Promise<void> {
    const client = new Client({ connectionString: databaseUrl });
    await client.connect();
    try {
      const { rows } = await client.query<Record<string, string>>(statement);
      const { lines, of_orders, promised, units, events, wrong_batches } = rows[0]!;
      const least = this.acknowledged + seeded;
      const right =
        Number(lines) >= least &&
        Number(lines) <= least + this.perhaps &&
        [of_orders, events].every((count) => count === lines) &&
        promised === units &&
        wrong_batches === '0';
      if (!right) throw new Error(`${least} acknowledged, but the database holds ${JSON.stringify(rows[0])}`);
    } finally {
      await client.end();
    }
  }
}

/** That no order is there twice is a matter of the tables' keys, and of there being as many events as lines. */
const statement = `
  SELECT (SELECT count(*) FROM allocation.line WHERE status = 'promised') AS lines,
         (SELECT count(*) FROM allocation.order_line WHERE status = 'promised') AS of_orders,
         (SELECT sum(promised) FROM allocation.batch) AS promised,
         (SELECT coalesce(sum(qty), 0) FROM allocation.line WHERE status = 'promised') AS units,
         (SELECT count(*) FROM platform.event
          WHERE type = 'allocation.allocated.v1' AND data ->> 'reason' = 'requested') AS events,
         (SELECT count(*) FROM allocation.batch AS b
          LEFT JOIN (SELECT sku, batch_ref, sum(qty) AS units FROM allocation.line WHERE status = 'promised'
                     GROUP BY sku, batch_ref) AS l ON (l.sku, l.batch_ref) = (b.sku, b.ref)
          WHERE b.promised <> coalesce(l.units, 0) OR b.promised > b.purchased) AS wrong_batches`;
