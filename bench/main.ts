import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { growth } from './comparisons/growth';
import { loads } from './comparisons/loads';
import { waysByConcurrency, waysSideBySide } from './comparisons/ways';
import { bulkToSingle } from './figures/bulk';
import { eventLags } from './figures/event-lag';
import { grouping } from './figures/grouping';
import { onManySkus, onOneSku } from './figures/http-to-no-op';
import { httpToProcedure } from './figures/http-to-procedure';
import { idleLatency } from './figures/idle-latency';
import { importMemory, importToCopy } from './figures/import';
import { pastAllocations } from './figures/past-allocations';
import { readingStock } from './figures/reading-stock';
import { memoryUnderLoad, soak, startToReady } from './figures/start-and-memory';
import { twoReplicas } from './figures/two-replicas';
import { unitOfWorkToStatements } from './figures/unit-of-work';
import { chartOf } from './support/chart';
import { type Comparison, markdownOf } from './support/comparison';
import { type Context, type Figure, type Row, rowOf } from './support/figure';
import { generator } from './support/load';
import { startPostgres } from './support/postgres';

const figures: readonly Figure[] = [
  grouping,
  ...onOneSku,
  ...onManySkus,
  httpToProcedure,
  bulkToSingle,
  unitOfWorkToStatements,
  pastAllocations,
  idleLatency,
  ...eventLags,
  twoReplicas,
  readingStock,
  importToCopy,
  importMemory,
  startToReady,
  memoryUnderLoad,
  soak,
];
const comparisons: readonly Comparison[] = [waysSideBySide, waysByConcurrency, ...loads, ...growth];

const usage = `npm run bench -- [--only ID,ID] [--compare] [--list] [--quick] [--json FILE] [--chart FILE]

  --only     runs some rows or comparisons; --list names them (P1 means all that begin with P1-)
  --compare  runs the comparisons instead of the rows
  --quick    a few seconds, to see that the benchmark works: its figures mean nothing
  --json     writes the figures to a file as well
  --chart    draws the comparison "concurrency" into an SVG file`;

type Measurements = Record<string, readonly Record<string, string | number>[]>;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      compare: { type: 'boolean', default: false },
      list: { type: 'boolean' },
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      chart: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return console.log(usage);
  const all = [...figures, ...comparisons];
  if (values.list) return console.log(all.map(({ id, what }) => `${id.padEnd(16)} ${what}`).join('\n'));
  const byDefault = values.compare ? comparisons : figures.filter(({ long }) => !long);
  const ids = values.only?.split(',') ?? byDefault.map(({ id }) => id);
  const isMeant = ({ id }: { id: string }, asked: string): boolean => id === asked || id.startsWith(`${asked}-`);
  const unknown = ids.filter((id) => !all.some((one) => isMeant(one, id)));
  if (unknown.length > 0) throw new Error(`there is no row ${unknown.join(', ')}: --list names them`);
  const chosen = <T extends { id: string }>(from: readonly T[]): T[] =>
    from.filter((one) => ids.some((id) => isMeant(one, id)));

  const rows: Row[] = [];
  const measured: Measurements = {};
  const postgres = await startPostgres();
  try {
    const context: Context = {
      freshDatabase: () => postgres.freshDatabase(),
      note: (text) => console.error(`  ${text}`),
      quick: values.quick,
    };
    for (const figure of chosen(figures))
      if (figure.lacks) console.error(`${figure.id}: not measured: ${figure.lacks}`);
      else await attempt(figure, async () => void rows.push(rowOf(figure, await figure.measure(context))));
    for (const comparison of chosen(comparisons))
      await attempt(comparison, async () => void (measured[comparison.id] = await comparison.measure(context)));
  } finally {
    await postgres.stop();
  }
  if (rows.length > 0) console.log(tableOf(rows));
  for (const { id, what } of comparisons)
    if (measured[id]) console.log(`\n${id}: ${what}\n\n${markdownOf(measured[id])}`);
  if (values.json) {
    const machine = { cpus: cpus().length, cpu: cpus()[0]?.model, node: process.version, generator };
    const content = { machine, figures: rows, comparisons: measured };
    writeFileSync(values.json, `${JSON.stringify(content, null, 2)}\n`);
  }
  if (values.chart && measured.concurrency) writeFileSync(values.chart, chartOfWays(measured.concurrency));
}

/** A row that fails, its audit included, keeps no other from being measured. */
async function attempt({ id, what }: { id: string; what: string }, measure: () => Promise<void>): Promise<void> {
  console.error(`${id}: ${what}`);
  try {
    await measure();
  } catch (error) {
    console.error(`  failed: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}

function chartOfWays(rows: Measurements[string]): string {
  const names = [...new Set(rows.map((row) => String(row.way)))];
  const curves = names.map((name) => ({
    name,
    points: rows
      .filter((row) => row.way === name)
      .map((row): [number, number] => [Number(row.waiting), Math.max(1, Number(row['per second']))]),
  }));
  return chartOf('Allocations of one hot SKU', 'requests waiting at once', 'allocations per second', curves);
}

function tableOf(rows: readonly Row[]): string {
  const number = (value: number): string => value.toFixed(2).padStart(8);
  const width = Math.max(...rows.map((row) => row.what.length));
  const head = `${'figure'.padEnd(10)} ${'what'.padEnd(width)} ${'target'.padStart(8)} ${'min'.padStart(8)} ${'median'.padStart(8)} ${'max'.padStart(8)}`;
  const lines = rows.map(
    ({ id, what, target, min, median, max, pass }) =>
      `${id.padEnd(10)} ${what.padEnd(width)} ${[target, min, median, max].map(number).join(' ')}  ${pass ? 'pass' : 'short'}`,
  );
  return [head, ...lines].join('\n');
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
