import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { Database } from '../../platform/database/database';
import type { BatchState } from '../contract/commands';
import { type BatchPage, GetBatch, GetBatches, ListBatches } from '../contract/queries';

const columns = `
  b.ref, b.sku, b.purchased, b.promised, CASE WHEN b.cancelled THEN 0 ELSE b.purchased - b.promised END AS available,
  b.eta::text AS eta, b.cancelled`;

const batchByRef = {
  name: 'batch-by-ref',
  text: `SELECT ${columns} FROM allocation.batch_ref JOIN allocation.batch AS b USING (sku, ref) WHERE ref = $1`,
};

/** By the index, whatever the planner thinks of thousands of references in a table that is growing. */
const batchesByRefs = {
  text: `
    SELECT found.* FROM unnest($1::text[]) AS asked (ref)
    CROSS JOIN LATERAL (
      SELECT ${columns} FROM allocation.batch_ref AS r JOIN allocation.batch AS b USING (sku, ref)
      WHERE r.ref = asked.ref LIMIT 1
    ) AS found`,
};

const batchesAfter = {
  name: 'batches-after',
  text: `
    SELECT ${columns} FROM allocation.batch AS b
    WHERE (b.sku, b.ref) > ($1, $2) ORDER BY b.sku, b.ref LIMIT $3`,
};

const batchesOfSkuAfter = {
  name: 'batches-of-sku-after',
  text: `SELECT ${columns} FROM allocation.batch AS b WHERE b.sku = $1 AND b.ref > $2 ORDER BY b.ref LIMIT $3`,
};

@QueryHandler(GetBatch)
export class GetBatchHandler implements IQueryHandler<GetBatch> {
  constructor(private readonly database: Database) {}

  async execute({ ref }: GetBatch): Promise<BatchState | null> {
    const [batch] = await this.database.query<BatchState>(batchByRef, [ref]);
    return batch ?? null;
  }
}

@QueryHandler(GetBatches)
export class GetBatchesHandler implements IQueryHandler<GetBatches> {
  constructor(private readonly database: Database) {}

  execute({ refs }: GetBatches): Promise<BatchState[]> {
    return this.database.query<BatchState>(batchesByRefs, [refs]);
  }
}

@QueryHandler(ListBatches)
export class ListBatchesHandler implements IQueryHandler<ListBatches> {
  constructor(private readonly database: Database) {}

  async execute({ limit, sku, after }: ListBatches): Promise<BatchPage> {
    const start = after ?? { sku: sku ?? '', ref: '' };
    const batches =
      sku === undefined
        ? await this.database.query<BatchState>(batchesAfter, [start.sku, start.ref, limit + 1])
        : await this.database.query<BatchState>(batchesOfSkuAfter, [sku, start.ref, limit + 1]);
    const page = batches.slice(0, limit);
    const last = page.at(-1);
    return { batches: page, next: batches.length > limit && last ? { sku: last.sku, ref: last.ref } : null };
  }
}
