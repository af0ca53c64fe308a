import type { Queryable } from '../database/database';
import type { Position } from './stored-event';

/** Another replica works the subscriber now: whoever sees this stops at once. */
export class Fenced extends Error {
  constructor(readonly subscriber: string) {
    super(`${subscriber} is worked by another replica`);
  }
}

/** How long a lease holds without being renewed, in seconds of the database's clock. */
export const leaseSeconds = 10;

const place = 'transaction_id::text AS "transactionId", position::text AS position';

const register = {
  name: 'subscriber-register',
  text: 'INSERT INTO platform.subscriber (name) VALUES ($1) ON CONFLICT DO NOTHING',
};

const lease = {
  name: 'subscriber-lease',
  text: `
    UPDATE platform.subscriber SET owner = $2, lease_until = clock_timestamp() + make_interval(secs => $3)
    WHERE name = $1 AND (owner = $2 OR lease_until < clock_timestamp())
    RETURNING ${place}`,
};

const release = {
  name: 'subscriber-release',
  text: `UPDATE platform.subscriber SET owner = NULL, lease_until = '-infinity' WHERE name = $1 AND owner = $2`,
};

const lockOwn = {
  name: 'subscriber-lock',
  text: `
    SELECT 1 FROM platform.subscriber
    WHERE name = $1 AND owner = $2 AND (transaction_id, position) = ($3::xid8, $4::bigint) FOR NO KEY UPDATE`,
};

const advance = {
  name: 'subscriber-advance',
  text: `
    UPDATE platform.subscriber
    SET transaction_id = $5::xid8, position = $6::bigint, lease_until = clock_timestamp() + make_interval(secs => $7)
    WHERE name = $1 AND owner = $2 AND (transaction_id, position) = ($3::xid8, $4::bigint)
    RETURNING 1`,
};

/** The checkpoint of one subscriber, and one replica's lease on it. */
export class Checkpoint {
  constructor(
    readonly subscriber: string,
    private readonly owner: string,
  ) {}

  /**
   * Takes or renews the lease.
   * @returns how far the log was read; undefined if another replica has the lease
   */
  async lease(database: Queryable): Promise<Position | undefined> {
    await database.query(register, [this.subscriber]);
    return this.renew(database);
  }

  async renew(database: Queryable): Promise<Position | undefined> {
    const [row] = await database.query<Position>(lease, [this.subscriber, this.owner, leaseSeconds]);
    return row;
  }

  async release(database: Queryable): Promise<void> {
    await database.query(release, [this.subscriber, this.owner]);
  }

  /** Locks the checkpoint for a transaction. @throws Fenced if the lease or the place is not what it was */
  async lock(transaction: Queryable, at: Position): Promise<void> {
    const rows = await transaction.query(lockOwn, [this.subscriber, this.owner, at.transactionId, at.position]);
    if (rows.length === 0) throw new Fenced(this.subscriber);
  }

  /** Notes that everything up to `to` is done. @throws Fenced if the lease or the place is not what it was */
  async advance(transaction: Queryable, from: Position, to: Position): Promise<void> {
    const values = [this.subscriber, this.owner, from.transactionId, from.position, to.transactionId, to.position];
    const rows = await transaction.query(advance, [...values, leaseSeconds]);
    if (rows.length === 0) throw new Fenced(this.subscriber);
  }
}
