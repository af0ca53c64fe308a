import { createWriteStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { stringify } from 'csv-stringify';
import { Overloaded } from '../../kernel/unit-of-work';
import { parsed } from '../../platform/cli/arguments';
import { CliCommand, type Terminal } from '../../platform/cli/cli-command';
import { bytesOf } from '../../platform/csv/csv-file';
import { UnreadableFile } from '../../platform/csv/csv-records';
import { neutralCell } from '../../platform/csv/neutral-cell';
import { ContentDigest } from '../messaging/content-digest';
import { type ImportPlan, ImportWork } from '../messaging/import-work';
import { Imports, type ImportState, type RejectedRow, type Tally } from '../messaging/imports';
import { SupplierFiles } from '../messaging/supplier-files';

/** Commands under way at once: enough for two full groups, so that neither the service nor the database waits. */
const width = 128;
/** Rejected rows that are told of each file; a file of rejects has them all. */
const rejectsTold = 20;
const rejectsPage = 1_000;
/** Milliseconds from look to look at what somebody else is at. */
const look = 200;
/** Seconds that a database may be out of reach before the command ends; called again it goes on. */
const patience = 20;

/** How the import of one file ended. */
interface Done extends ImportState {
  readonly path: string;
}

/**
 * Takes supplier files in: batches as CSV (`ref,sku,qty,eta`). A file is applied once; one that was interrupted goes on
 * where it was.
 */
@Injectable()
export class ImportCommand extends CliCommand {
  readonly name = 'import';
  readonly usage = '<file|folder> [--dry-run] [--again] [--rejects FILE]';
  readonly summary =
    'Takes in batches of CSV files (ref,sku,qty,eta), each file once; --dry-run tells what would happen.';

  constructor(
    private readonly files: SupplierFiles,
    private readonly imports: Imports,
    private readonly work: ImportWork,
  ) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const options = {
      'dry-run': { type: 'boolean' },
      again: { type: 'boolean' },
      rejects: { type: 'string' },
    } as const;
    const { values, positionals } = parsed(args, options, [1, 1]);
    const paths = await filesAt(positionals[0]!);
    if (paths.length === 0) terminal.note(`${positionals[0]} has no CSV files.`);
    const done: Done[] = [];
    let status = paths.length === 0 ? 1 : 0;
    for (const path of paths) {
      try {
        if (values['dry-run']) {
          status = Math.max(status, await this.tryOut(path, terminal));
        } else {
          const state = await this.apply(path, values.again ?? false, terminal);
          if (state) done.push({ path, ...state });
        }
      } catch (error) {
        if (!(error instanceof UnreadableFile)) throw error;
        terminal.note(`${path}: ${error.message}.`);
        status = 1;
      }
    }
    for (const one of done) status = Math.max(status, await this.tell(one, terminal));
    if (values.rejects !== undefined) await this.writeRejects(values.rejects, done);
    return status;
  }

  private async tryOut(path: string, terminal: Terminal): Promise<number> {
    const { id } = await this.receive(path, terminal, { dryRun: true });
    try {
      const plan = await this.work.plan(id);
      for (const line of linesOf(path, plan)) terminal.out(line);
      return plan.rejected > 0 ? 1 : 0;
    } finally {
      await this.imports.abort(id, 'it was a dry run');
    }
  }

  /** @returns the import that applied the content of the file; undefined if that was done before */
  private async apply(path: string, again: boolean, terminal: Terminal): Promise<ImportState | undefined> {
    await this.imports.tidyUp();
    const known = await this.imports.findContent(await ContentDigest.of(bytesOf(path)));
    if (known?.status === 'applied' && !again) {
      terminal.note(`${path} was applied at ${known.finishedAt}: nothing is done; --again applies it once more.`);
      return undefined;
    }
    if (known?.status === 'applying') terminal.note(`${path} goes on where it was.`);
    const id = known?.status === 'applying' ? known.id : await this.takeIn(path, again, terminal);
    return this.finish(id, path, terminal);
  }

  private async takeIn(path: string, again: boolean, terminal: Terminal): Promise<string> {
    const { id, digest } = await this.receive(path, terminal, { dryRun: false });
    return this.imports.seal(id, digest, { again });
  }

  private async receive(path: string, terminal: Terminal, options: { readonly dryRun: boolean }) {
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    );
    const progress = terminal.progress(`${path}: reading`, size);
    try {
      return await this.files.receive(
        path,
        bytesOf(path, (bytes) => progress.update(bytes)),
        options,
      );
    } finally {
      progress.end();
    }
  }

  /** Works an import off, or watches whoever is at it. */
  private async finish(id: string, path: string, terminal: Terminal): Promise<ImportState> {
    let state = (await this.imports.find(id))!;
    let done = workedOf(state);
    const progress = terminal.progress(`${path}: applying`, state.rows);
    try {
      for (let failures = 0; state.status === 'applying'; state = (await this.imports.find(id))!) {
        progress.update((done = workedOf(state)));
        try {
          if (!(await this.work.apply(id, { width, onProgress: (rows) => progress.update((done += rows)) })))
            await pause(look);
        } catch (error) {
          failures += 1;
          if (!(error instanceof Overloaded) || failures >= patience) throw error;
          await pause(1_000);
        }
      }
      return state;
    } finally {
      progress.end();
    }
  }

  private async tell({ path, ...state }: Done, terminal: Terminal): Promise<number> {
    terminal.out(`${path}: ${tallyOf(state, ['created', 'changed', 'unchanged', 'rejected'])}`);
    for (const reject of await this.imports.rejectsAfter(state.id, 0, rejectsTold))
      terminal.note(sentenceOf(path, reject));
    if (state.rejected > rejectsTold)
      terminal.note(`… and ${state.rejected - rejectsTold} more; --rejects FILE writes them all.`);
    return state.rejected > 0 ? 1 : 0;
  }

  private async writeRejects(file: string, imports: readonly Done[]): Promise<void> {
    const columns = ['file', 'line', 'ref', 'reason'];
    const csv = stringify({ header: true, columns, record_delimiter: 'windows' });
    await pipeline(this.rejectsOf(imports), csv, createWriteStream(file));
  }

  private async *rejectsOf(imports: readonly Done[]): AsyncGenerator<[string, number, string, string]> {
    for (const { id, path } of imports) {
      let page = await this.imports.rejectsAfter(id, 0, rejectsPage);
      for (; page.length > 0; page = await this.imports.rejectsAfter(id, page.at(-1)!.line, rejectsPage))
        for (const { line, ref, reason } of page)
          yield [neutralCell(path), line, neutralCell(ref ?? ''), neutralCell(reason)];
    }
  }
}

/** A file, or the CSV files of a folder in the order of their names. */
async function filesAt(path: string): Promise<string[]> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) return [path];
  const names = await readdir(path);
  return names
    .filter((name) => name.toLowerCase().endsWith('.csv'))
    .sort()
    .map((name) => join(path, name));
}

const workedOf = ({ created, changed, unchanged, rejected }: Tally): number => created + changed + unchanged + rejected;

const tallyOf = (tally: Tally, [created, changed, unchanged, rejected]: [string, string, string, string]): string =>
  `${tally.created} ${created}, ${tally.changed} ${changed}, ${tally.unchanged} ${unchanged}, ${tally.rejected} ${rejected}.`;

const sentenceOf = (path: string, { line, reason }: RejectedRow): string => `${path} line ${line}: ${reason}`;

/** A plan, as people read it. */
function linesOf(path: string, plan: ImportPlan): string[] {
  const { changes, complete, gain, lose, move, lines } = plan.consequences;
  const of = complete ? '' : ` of the first ${changes} changes`;
  return [
    `${path}: ${tallyOf(plan, ['to create', 'to change', 'unchanged', 'rejected'])}`,
    ...plan.actions.map(({ line, batch, ...action }) =>
      action.kind === 'create'
        ? `  line ${line}: create ${batch.ref}, ${batch.qty} of ${batch.sku}, ${etaOf(batch.eta)}`
        : `  line ${line}: change ${batch.ref}: ${changeOf(action.change)}`,
    ),
    ...cut(plan.actions.length, plan.created + plan.changed),
    ...plan.rejects.map((reject) => `  ${sentenceOf('reject', reject)}`),
    ...cut(plan.rejects.length, plan.rejected),
    `Order lines${of}: ${gain} would get a promise, ${lose} lose theirs, ${move} move to another batch or date.`,
    ...lines.map(({ orderId, lineId, sku, before, after }) => {
      return `  ${orderId} line ${lineId}, ${sku}: ${standingOf(before)} -> ${standingOf(after)}`;
    }),
    ...cut(lines.length, gain + lose + move),
  ];
}

const cut = (shown: number, all: number): string[] => (shown < all ? [`  … and ${all - shown} more`] : []);

const etaOf = (eta: string | null): string => eta ?? 'in the warehouse';

const changeOf = ({ qty, eta }: { readonly qty?: number; readonly eta?: string | null }): string =>
  [...(qty === undefined ? [] : [`${qty} units`]), ...(eta === undefined ? [] : [etaOf(eta)])].join(', ');

const standingOf = (line: ImportPlan['consequences']['lines'][number]['before']): string =>
  line?.status === 'promised' ? `${line.batchRef} (${etaOf(line.eta)})` : (line?.status ?? 'unknown');
