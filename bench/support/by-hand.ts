import { Client, type QueryConfig } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { DataSource } from 'typeorm';
import { WarehouseThenEarliestEta } from '../../src/allocation/domain/allocation-policy';
import { ProductStore } from '../../src/allocation/persistence/product-store';
import { Connection, Database, type Statement } from '../../src/platform/database/database';
import { dataSourceOptions } from '../../src/platform/database/data-source-options';
import { type GroupingOptions, GroupingUnitOfWork } from '../../src/platform/unit-of-work/grouping-unit-of-work';
import type { ProductUnitOfWork } from '../../src/allocation/domain/product-unit-of-work';

export interface OwnUnitOfWork {
  readonly unitOfWork: ProductUnitOfWork;
  readonly close: () => Promise<void>;
}

/** The service's unit of work, without the service. */
export async function openUnitOfWork(
  databaseUrl: string,
  options: Partial<GroupingOptions> = {},
): Promise<OwnUnitOfWork> {
  const source = await new DataSource(dataSourceOptions(databaseUrl)).initialize();
  const store = new ProductStore(new WarehouseThenEarliestEta());
  const unitOfWork = new GroupingUnitOfWork(new Database(source), store, { deadline: 120_000, ...options });
  return { unitOfWork, close: () => source.destroy() };
}

export interface Line {
  readonly orderId: string;
  readonly lineId: string;
  readonly sku: string;
  readonly qty: number;
}

/**
 * The statements of the unit of work, for lines of one SKU with one batch, sent by hand on one connection: what they cost
 * without any of the code that decides which to send.
 */
export class ByHand {
  private constructor(
    private readonly client: Client,
    private readonly statements: readonly Statement[],
    private readonly sku: string,
    private version: number,
    private promised: number,
    private readonly batch: { readonly ref: string; readonly purchased: number },
  ) {}

  /** Learns the statements by watching the unit of work allocate one line. */
  static async connect(databaseUrl: string, sku: string, firstLine: Line): Promise<ByHand> {
    const statements = await statementsOf(databaseUrl, firstLine);
    const client = new Client({ connectionString: databaseUrl, pipeline: true });
    await client.connect();
    const { rows } = await client.query<{ version: string; promised: number; ref: string; purchased: number }>(
      'SELECT version, promised, ref, purchased FROM allocation.product JOIN allocation.batch USING (sku) WHERE sku = $1',
      [sku],
    );
    const { version, promised, ref, purchased } = rows[0]!;
    return new ByHand(client, statements, sku, Number(version), promised, { ref, purchased });
  }

  /** One transaction: locks, loads, stores and commits, in the same round trips as the unit of work. */
  async allocate(lines: readonly Line[]): Promise<void> {
    const commit = this.statements.length - 1;
    const firstLoad = this.statements.findIndex(({ name }) => name?.startsWith('product-'));
    const firstStore = this.statements.findIndex(({ name }) => name === 'unit-of-work-id');
    const values = this.valuesFor(lines);
    for (const [from, to] of [
      [0, firstLoad],
      [firstLoad, firstStore],
      [firstStore, commit + 1],
    ] as const) {
      await Promise.all(
        this.statements.slice(from, to).map((statement) => this.client.query(queryOf(statement, values))),
      );
    }
    this.version += lines.length;
    this.promised += lines.length;
  }

  close(): Promise<void> {
    return this.client.end();
  }

  private valuesFor(lines: readonly Line[]): Record<string, unknown[]> {
    const { sku, version, promised, batch } = this;
    const all = <T>(value: T): T[] => lines.map(() => value);
    const now = new Date().toISOString();
    const [orders, ids] = [lines.map((line) => line.orderId), lines.map((line) => line.lineId)];
    const rows = lines.map(({ orderId, lineId, qty }, index) => ({
      ...{ sku, order_id: orderId, line_id: lineId, qty, status: 'promised', batch_ref: batch.ref },
      ...{ priority: 0, displaced: false, since: version + index + 1 },
    }));
    const events = lines.map((line, index) => ({
      ...{ stream: `product:${sku}`, version: version + index + 1, id: uuidv7(), type: 'allocation.allocated.v1' },
      data: { ...line, batchRef: batch.ref, eta: null, priority: 0, reason: 'requested' },
      ...{ occurred_at: now, actor: 'bench', correlation_id: null, causation_id: null },
    }));
    return {
      'unit-of-work-try-locks': [[`product:${sku}`]],
      'product-try-to-lock': [[sku]],
      'product-open-batches': [[sku]],
      'product-queue-heads': [[sku]],
      'product-lines-by-identity': [all(sku), orders, ids],
      'unit-of-work-id': [uuidv7()],
      'product-update': [[sku], [version + lines.length], [now], [version], 1],
      'product-update-batches': [[sku], [batch.ref], [batch.purchased], [promised + lines.length], [null], [false], 1],
      'product-upsert-lines': [JSON.stringify(rows)],
      'event-log-append': [JSON.stringify(events)],
    };
  }
}

function queryOf({ name, text }: Statement, values: Record<string, unknown[]>): QueryConfig {
  if (name === undefined) return { text };
  const used = values[name];
  if (!used) throw new Error(`the unit of work has a new statement, ${name}: teach it to bench/support/by-hand.ts`);
  return { name, text, values: used };
}

async function statementsOf(databaseUrl: string, line: Line): Promise<Statement[]> {
  const sent: Statement[] = [];
  const { unitOfWork, close } = await openUnitOfWork(databaseUrl);
  const run = Object.getOwnPropertyDescriptor(Connection.prototype, 'run')!;
  Object.defineProperty(Connection.prototype, 'run', {
    ...run,
    value(this: Connection, statement: Statement, ...rest: []) {
      sent.push(statement);
      return (run.value as Connection['run']).call(this, statement, ...rest);
    },
  });
  try {
    await unitOfWork.run({ skus: [line.sku], lines: [line] }, (products) => products.get(line.sku).allocate(line));
  } finally {
    Object.defineProperty(Connection.prototype, 'run', run);
    await close();
  }
  return sent;
}
