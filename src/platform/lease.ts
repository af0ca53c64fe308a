import type { Queryable, Statement } from './database/database';

/** The lease is lost, or somebody else has moved what it guards: whoever sees this stops at once. */
export class Fenced extends Error {
  constructor(readonly what: string) {
    super(`${what} is worked by another replica`);
  }
}

/** How long a lease holds without being renewed, in seconds of the database's clock. */
export const usualLease = 10;

/** How one kind of lease is kept in a table with the columns `name`, `owner` and `lease_until`. */
export interface LeaseStatements {
  readonly register: Statement;
  readonly take: Statement;
  readonly renew: Statement;
  readonly release: Statement;
}

/**
 * @param table with its schema
 * @param returning what of its row whoever holds the lease is told
 */
export function leaseStatements(table: string, returning: string): LeaseStatements {
  // Passes a locked row by: a transaction that holds it is at work, and nobody should queue up behind it.
  const leased = (condition: string): string => `
    UPDATE ${table} SET owner = $2, lease_until = clock_timestamp() + make_interval(secs => $3)
    WHERE name = (SELECT name FROM ${table} WHERE name = $1 AND ${condition} FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING ${returning}`;
  const kind = table.slice(table.indexOf('.') + 1);
  return {
    register: { name: `${kind}-register`, text: `INSERT INTO ${table} (name) VALUES ($1) ON CONFLICT DO NOTHING` },
    take: { name: `${kind}-take`, text: leased('(owner = $2 OR lease_until < clock_timestamp())') },
    renew: { name: `${kind}-renew`, text: leased('owner = $2') },
    release: {
      name: `${kind}-release`,
      text: `UPDATE ${table} SET owner = NULL, lease_until = '-infinity' WHERE name = $1 AND owner = $2`,
    },
  };
}

/** One replica's lease on something that one replica at a time works on. */
export class Lease<Row extends object = object> {
  /** By this process's clock, and never later than by the database's: the lease holds until then. */
  private heldUntil = 0;

  /** @param owner names this replica among all */
  constructor(
    readonly name: string,
    protected readonly owner: string,
    private readonly statements: LeaseStatements,
    readonly leaseSeconds = usualLease,
  ) {}

  /** @returns what the row says; undefined if another replica has the lease */
  async lease(database: Queryable): Promise<Row | undefined> {
    await database.query(this.statements.register, [this.name]);
    return this.hold(database, this.statements.take);
  }

  /** Prolongs the lease. If it was lost, {@link requireHeld} says so as soon as its time is over. */
  async renew(database: Queryable): Promise<void> {
    await this.hold(database, this.statements.renew);
  }

  async release(database: Queryable): Promise<void> {
    this.heldUntil = 0;
    await database.query(this.statements.release, [this.name, this.owner]);
  }

  /** Keeps the lease during `work`, however long that takes. */
  async keepDuring<T>(database: Queryable, work: () => Promise<T>): Promise<T> {
    let renewing: Promise<void> | undefined;
    const renew = async (): Promise<void> => {
      await this.renew(database).catch(() => undefined);
      renewing = undefined;
    };
    const heartbeat = setInterval(() => void (renewing ??= renew()), (this.leaseSeconds * 1000) / 3);
    try {
      return await work();
    } finally {
      clearInterval(heartbeat);
      await renewing;
    }
  }

  /**
   * Asked before every step that no transaction guards. A process that was stopped for longer than its lease finds out here.
   * @throws Fenced if another replica may have the lease by now
   */
  requireHeld(): void {
    if (performance.now() >= this.heldUntil) throw new Fenced(this.name);
  }

  /** @param asked when the database was asked, by this process's clock */
  protected heldSince(asked: number): void {
    this.heldUntil = asked + this.leaseSeconds * 1000;
  }

  private async hold(database: Queryable, statement: Statement): Promise<Row | undefined> {
    const asked = performance.now();
    const [row] = await database.query<Row>(statement, [this.name, this.owner, this.leaseSeconds]);
    if (row) this.heldSince(asked);
    return row;
  }
}
