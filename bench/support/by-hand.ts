import { Client } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { DataSource } from 'typeorm';
import { WarehouseThenEarliestEta } from '../../src/allocation/domain/allocation-policy';
import { ProductStore } from '../../src/allocation/persistence/product-store';
import { copyIn } from '../../src/platform/database/copy-in';
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

/** A statement of the unit of work; a COPY has a name that no statement has. */
type Sent = Statement & { readonly copies?: boolean };

/**
 * The statements of the unit of work, for lines of one SKU with one batch, sent by hand on one connection: what they cost
 * without any of the code that decides which to send.
 */
export class ByHand {
  private constructor(
    private readonly client: Client,
    private readonly statements: readonly Sent[],
    private readonly sku: string,
    private version: number,
    private promised: number,
    private readonly batch: { readonly ref: string; readonly purchased: number },
  ) {}

  /** Learns the statements by watching the unit of work allocate as many lines of the SKU at once as it will be given. */
  static async connect(databaseUrl: string, sku: string, firstLines: readonly Line[]): Promise<ByHand> {
    const statements = await statementsOf(databaseUrl, firstLines);
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
      await Promise.all(this.statements.slice(from, to).map((statement) => send(this.client, statement, values)));
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
    const rows = lines.map(({ orderId, lineId, qty }, index) => [
      ...[sku, orderId, lineId, qty, 'promised', batch.ref, 0, false, version + index + 1],
    ]);
    const events = lines.map((line, index) => [
      ...[`product:${sku}`, version + index + 1, uuidv7(), 'allocation.allocated.v1'],
      JSON.stringify({ ...line, batchRef: batch.ref, eta: null, priority: 0, reason: 'requested' }),
      ...[now, 'bench', null, null],
    ]);
    return {
      'unit-of-work-try-locks': [[`product:${sku}`]],
      'product-try-to-lock': [[sku]],
      'product-open-batches': [[sku]],
      'product-queue-heads': [[sku]],
      'product-lines-by-identity': [all(sku), orders, ids],
      'unit-of-work-id': [uuidv7()],
      'product-update': [[sku], [version + lines.length], [now], [version], 1],
      'product-update-batches': [[sku], [batch.ref], [batch.purchased], [promised + lines.length], [null], [false], 1],
      'insert allocation.line': rows,
      'insert allocation.order_line': rows.map((row) => row.slice(0, 7)),
      'insert platform.event': events,
    };
  }
}

function send(client: Client, { name, text, copies }: Sent, values: Record<string, unknown[]>): Promise<unknown> {
  if (name === undefined) return client.query(text);
  const used = values[name];
  if (!used) throw new Error(`the unit of work has a new statement, ${name}: teach it to bench/support/by-hand.ts`);
  if (!name.startsWith('insert ')) return client.query({ name, text, values: used });
  const rows = used as (string | number | boolean | null)[][];
  if (!copies) return client.query({ name, text, values: rows[0]!.map((_, column) => rows.map((row) => row[column])) });
  const data = rows.map((row) => `${row.map((value) => String(value ?? '\\N')).join('\t')}\n`).join('');
  return copyIn(client, text, data);
}

async function statementsOf(databaseUrl: string, lines: readonly Line[]): Promise<Sent[]> {
  const sent: Sent[] = [];
  const { unitOfWork, close } = await openUnitOfWork(databaseUrl);
  const [run, copy] = (['run', 'copy'] as const).map((method) =>
    Object.getOwnPropertyDescriptor(Connection.prototype, method)!,
  );
  Object.defineProperty(Connection.prototype, 'run', {
    ...run,
    value(this: Connection, statement: Statement, ...rest: []) {
      sent.push(statement);
      return (run!.value as Connection['run']).call(this, statement, ...rest);
    },
  });
  Object.defineProperty(Connection.prototype, 'copy', {
    ...copy,
    value(this: Connection, text: string, data: string) {
      sent.push({ name: `insert ${/^COPY (\S+)/.exec(text)![1]!}`, text, copies: true });
      return (copy!.value as Connection['copy']).call(this, text, data);
    },
  });
  try {
    await Promise.all(
      lines.map((line) =>
        unitOfWork.run({ skus: [line.sku], lines: [line] }, (products) => products.get(line.sku).allocate(line)),
      ),
    );
  } finally {
    Object.defineProperty(Connection.prototype, 'run', run!);
    Object.defineProperty(Connection.prototype, 'copy', copy!);
    await close();
  }
  return sent;
}
