import type { Database, Statement } from '../database/database';

/**
 * Asks the database once for all gauges of a scrape: they are collected at the same time. While it is out of reach, which is
 * no reason for a scrape to fail, there is nothing to show.
 */
export function oncePerScrape<Row extends object>(
  database: Database,
  statement: Statement,
): () => Promise<readonly Row[]> {
  let asked: Promise<readonly Row[]> | undefined;
  return () =>
    (asked ??= database
      .query<Row>(statement)
      .catch(() => [])
      .finally(() => (asked = undefined)));
}
