import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { grouping } from './figures/grouping';
import { type Figure, type Row, rowOf } from './support/figure';
import { startPostgres } from './support/postgres';

const figures: readonly Figure[] = [grouping];

const usage = `npm run bench -- [--only ID,ID] [--list] [--quick] [--json FILE]

  --only   runs some rows; --list names them
  --quick  a few seconds, to see that the benchmark works: its figures mean nothing
  --json   writes the figures to a file as well`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      list: { type: 'boolean' },
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return console.log(usage);
  if (values.list) return console.log(figures.map(({ id, what }) => `${id.padEnd(10)} ${what}`).join('\n'));
  const ids = values.only?.split(',') ?? figures.map((figure) => figure.id);
  const unknown = ids.filter((id) => !figures.some((figure) => figure.id === id));
  if (unknown.length > 0) throw new Error(`there is no row ${unknown.join(', ')}: --list names them`);

  const postgres = await startPostgres();
  const rows: Row[] = [];
  try {
    for (const figure of figures.filter(({ id }) => ids.includes(id))) {
      console.error(`${figure.id}: ${figure.what}`);
      const note = (text: string): void => console.error(`  ${text}`);
      const freshDatabase = (): Promise<string> => postgres.freshDatabase();
      rows.push(rowOf(figure, await figure.measure({ freshDatabase, note, quick: values.quick })));
    }
  } finally {
    await postgres.stop();
  }
  console.log(tableOf(rows));
  if (values.json) writeFileSync(values.json, `${JSON.stringify({ figures: rows }, null, 2)}\n`);
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
