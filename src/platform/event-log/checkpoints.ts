import type { Queryable } from '../database/database';
import type { Position } from './stored-event';

/** The lease is lost, or the checkpoint was moved by somebody else: whoever sees this stops at once. */
export class Fenced extends Error {
  constructor(readonly subscriber: string) {
    super(`${subscriber} is worked by another replica`);
  }
}

/** How long a lease holds without being renewed, in seconds of the database's clock. */
export const usualLease = 10;

const place = 'transaction_id::text AS "transactionId", position::text AS position';

const register = {
  name: 'subscriber-register',
  text: 'INSERT INTO platform.subscriber (name) VALUES ($1) ON CONFLICT DO NOTHING',
};

/** Passes a locked row by: a transaction that holds it is at work, and nobody should queue up behind it. */
const leased = (condition: string) => `
    UPDATE platform.subscriber SET owner = $2, lease_until = clock_timestamp() + make_interval(secs => $3)
    WHERE name = (SELECT name FROM platform.subscriber WHERE name = $1 AND ${condition} FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING ${place}`;

const take = { name: 'subscriber-take', text: leased('(owner = $2 OR lease_until < clock_timestamp())') };

const renew = { name: 'subscriber-renew', text: leased('owner = $2') };

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
  /** By this process's clock, and never later than by the database's: the lease holds until then. */
  private heldUntil = 0;

  constructor(
    readonly subscriber: string,
    private readonly owner: string,
    readonly leaseSeconds = usualLease,
  ) {}

  /**
   * Takes the lease.
   * @returns how far the log was read; undefined if another replica has the lease
   */
  async lease(database: Queryable): Promise<Position | undefined> {
    await database.query(register, [this.subscriber]);
    return this.hold(database, take);
  }

  /** Prolongs the lease. If it was lost, {@link requireHeld} says so as soon as its time is over. */
  async renew(database: Queryable): Promise<void> {
    await this.hold(database, renew);
  }

  async release(database: Queryable): Promise<void> {
    this.heldUntil = 0;
    await database.query(release, [this.subscriber, this.owner]);
  }

  /**
   * Asked before every step that no transaction guards. A process that was stopped for longer than its lease finds out here.
   * @throws Fenced if another replica may have the lease by now
   */
  requireHeld(): void {
    if (performance.now() >= this.heldUntil) throw new Fenced(this.subscriber);
  }

  /** Locks the checkpoint for a transaction. @throws Fenced if the lease or the place is not what it was */
  async lock(transaction: Queryable, at: Position): Promise<void> {
    const rows = await transaction.query(lockOwn, [this.subscriber, this.owner, at.transactionId, at.position]);
    if (rows.length === 0) throw new Fenced(this.subscriber);
  }

  /**
   * Notes that everything up to `to` is done, and prolongs the lease.
   * @throws Fenced if the lease or the place is not what it was
   */
  async advance(transaction: Queryable, from: Position, to: Position): Promise<void> {
    const asked = performance.now();
    const values = [this.subscriber, this.owner, from.transactionId, from.position, to.transactionId, to.position];
    const rows = await transaction.query(advance, [...values, this.leaseSeconds]);
    if (rows.length === 0) throw new Fenced(this.subscriber);
    this.heldSince(asked);
  }

  private async hold(database: Queryable, statement: { name: string; text: string }): Promise<Position | undefined> {
    const asked = performance.now();
    const [row] = await database.query<Position>(statement, [this.subscriber, this.owner, this.leaseSeconds]);
    if (row) this.heldSince(asked);
    return row;
  }

  private heldSince(asked: number): void {
    this.heldUntil = asked + this.leaseSeconds * 1000;
  }
}
