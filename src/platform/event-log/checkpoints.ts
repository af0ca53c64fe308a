import type { Queryable } from '../database/database';
import { Fenced, Lease, leaseStatements } from '../lease';
import type { Position } from './stored-event';

const statements = leaseStatements(
  'platform.subscriber',
  'transaction_id::text AS "transactionId", position::text AS position, receipt',
);

const lockOwn = {
  name: 'subscriber-lock',
  text: `
    SELECT 1 FROM platform.subscriber
    WHERE name = $1 AND owner = $2 AND ($3::xid8 IS NULL OR (transaction_id, position) = ($3::xid8, $4::bigint))
    FOR NO KEY UPDATE`,
};

/*
 * Committed without waiting for the disk: what a crash takes back is delivered again, and a projection loses its rows with
 * its place.
 */
const advance = {
  name: 'subscriber-advance',
  text: `
    UPDATE platform.subscriber
    SET transaction_id = $5::xid8, position = $6::bigint, receipt = $8,
        lease_until = clock_timestamp() + make_interval(secs => $7)
    FROM (SELECT set_config('synchronous_commit', 'off', true)) AS committed_later
    WHERE name = $1 AND owner = $2 AND (transaction_id, position) = ($3::xid8, $4::bigint)
    RETURNING 1`,
};

/** The checkpoint of one subscriber, and one replica's lease on it. */
export class Checkpoint extends Lease<Position & { readonly receipt: string | null }> {
  /** What a publisher was last given for its events, to find them again. */
  receipt: string | null = null;

  constructor(subscriber: string, owner: string, leaseSeconds?: number) {
    super(subscriber, owner, statements, leaseSeconds);
  }

  /** Takes the lease. @returns how far the log was read; undefined if another replica has the lease */
  override async lease(database: Queryable): Promise<(Position & { readonly receipt: string | null }) | undefined> {
    const row = await super.lease(database);
    if (row) this.receipt = row.receipt;
    return row;
  }

  /** Locks the checkpoint for a transaction. @throws Fenced if the lease, or the place `at`, is not what it was */
  async lock(transaction: Queryable, at?: Position): Promise<void> {
    const place = [at?.transactionId ?? null, at?.position ?? null];
    const rows = await transaction.query(lockOwn, [this.name, this.owner, ...place]);
    if (rows.length === 0) throw new Fenced(this.name);
  }

  /**
   * Notes that everything up to `to` is done, and prolongs the lease.
   * @throws Fenced if the lease or the place is not what it was
   */
  async advance(transaction: Queryable, from: Position, to: Position, receipt = this.receipt): Promise<void> {
    const asked = performance.now();
    const values = [this.name, this.owner, from.transactionId, from.position, to.transactionId, to.position];
    const rows = await transaction.query(advance, [...values, this.leaseSeconds, receipt]);
    if (rows.length === 0) throw new Fenced(this.name);
    this.receipt = receipt;
    this.heldSince(asked);
  }
}
