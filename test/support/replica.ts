import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import type { RequestedLine } from '../../src/allocation/contract/order-lines';
import { WarehouseThenEarliestEta } from '../../src/allocation/domain/allocation-policy';
import type { ProductNeeds } from '../../src/allocation/domain/product-needs';
import type { ProductRepository } from '../../src/allocation/domain/product-repository';
import { ProductStore } from '../../src/allocation/persistence/product-store';
import { Database } from '../../src/platform/database/database';
import { dataSourceOptions } from '../../src/platform/database/data-source-options';
import {
  GroupingUnitOfWork,
  type GroupingObserver,
  type GroupingOptions,
} from '../../src/platform/unit-of-work/grouping-unit-of-work';
import { commandsOver, type Commands } from './allocation-commands';

export type ProductUnit = GroupingUnitOfWork<ProductNeeds, ProductRepository>;

/** A replica of the service, as far as the unit of work goes. */
export interface Replica extends Commands {
  readonly unitOfWork: ProductUnit;
}

export function replicaOver(
  database: Database,
  options?: Partial<GroupingOptions>,
  observer?: GroupingObserver,
): Replica {
  const store = new ProductStore(new WarehouseThenEarliestEta());
  const unitOfWork = new GroupingUnitOfWork(database, store, options, observer);
  return { unitOfWork, ...commandsOver(unitOfWork) };
}

/** Polls until something holds. */
export async function until(condition: () => boolean | Promise<boolean>, patience = 10_000): Promise<void> {
  for (const deadline = Date.now() + patience; !(await condition()); await pause(5)) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${condition.toString()}`);
  }
}

/** A database whose client has less patience than in production: milliseconds for an answer, connections at most. */
export async function impatientDatabase(
  url: string,
  { answer, poolSize }: { readonly answer: number; readonly poolSize?: number },
): Promise<{ readonly database: Database; close(): Promise<void> }> {
  const options = dataSourceOptions(url, poolSize === undefined ? {} : { poolSize });
  const source = new DataSource({ ...options, extra: { ...(options.extra as object), query_timeout: answer } });
  const database = new Database(await source.initialize());
  return { database, close: () => source.destroy() };
}

/** How a line stands after its allocation, or the code of the error. */
type LineOutcome = string;

/** A replica in a process of its own, which allocates what it is sent, all at once. */
export class ReplicaProcess {
  private constructor(private readonly child: ChildProcess) {}

  static async start(databaseUrl: string): Promise<ReplicaProcess> {
    const child = spawn(process.execPath, ['-e', compileAndServe, __filename, databaseUrl], {
      cwd: join(__dirname, '../..'),
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => Promise.reject(new Error('no replica'))),
    ]);
    return new ReplicaProcess(child);
  }

  async allocateAll(lines: readonly RequestedLine[]): Promise<LineOutcome[]> {
    this.child.send(lines);
    const [outcomes] = (await once(this.child, 'message')) as [LineOutcome[]];
    return outcomes;
  }

  async stop(): Promise<void> {
    const exited = once(this.child, 'exit');
    this.child.disconnect();
    await exited;
  }
}

/** Compiles the sources as it loads them, so that what runs there is never older than what is tested beside it. */
const compileAndServe = `
  const { readFileSync } = require('node:fs');
  const { transformSync } = require('@swc/core');
  const jsc = {
    target: 'es2022',
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true },
  };
  require.extensions['.ts'] = (module, filename) => {
    const options = { filename, swcrc: false, module: { type: 'commonjs' }, jsc };
    module._compile(transformSync(readFileSync(filename, 'utf8'), options).code, filename);
  };
  require(process.argv[1]).serve(process.argv[2]);`;

/** What the process does. */
export async function serve(databaseUrl: string): Promise<void> {
  const source = await new DataSource(dataSourceOptions(databaseUrl)).initialize();
  const { unitOfWork, allocate } = replicaOver(new Database(source));
  process.on('message', (lines: RequestedLine[]) => {
    const outcomes = lines.map((line) =>
      allocate(line).then(
        ({ status }) => status,
        (error: { code?: string }) => error.code ?? 'an error without a code',
      ),
    );
    void Promise.all(outcomes).then((all) => process.send!(all));
  });
  process.once('disconnect', () => void unitOfWork.close().then(() => source.destroy()));
  process.send!('ready');
}
