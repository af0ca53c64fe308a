import { Injectable } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ChangeBatch, CreateBatch, RecordBatches } from '../../allocation/contract/commands';
import { type Change, type LineDifference, type Plan, PlanChanges } from '../../allocation/contract/queries';
import { DomainError } from '../../kernel/domain-error';
import { inOrder } from '../../platform/in-order';
import { newId } from '../../platform/new-id';
import { CompareWithStock, type RowAction, type SupplierRow } from '../contract/imports';
import { beginning, Imports, ImportTaken, type Place, type RejectedRow, type Tally } from './imports';

/** Rows that are compared with the stock at once, and after which it is noted how far an import is. */
const pageSize = 2_000;
/** Rows of a command: more cost hardly less, and what one of them lacks is loaded for all of them anew. */
const runSize = 16;
/** Changes whose consequences for orders a plan tells, and lines that they may move. */
const planned = { changes: 1_000, lines: 20_000 };
/** Examples that a plan gives of each kind. */
const examplesMax = 100;

type ChangeOfStock = Extract<RowAction, { kind: 'create' | 'change' }>;

/** What an import would do. Its first rows are those that come first in the order of the SKUs. */
export interface ImportPlan extends Tally {
  /** The first rows that would create or change batches. */
  readonly actions: readonly ChangeOfStock[];
  /** The first rows that would be rejected. */
  readonly rejects: readonly RejectedRow[];
  readonly consequences: Consequences;
}

/** What that would mean for order lines. */
export interface Consequences {
  /** So many of the changes were looked at, the first ones. */
  readonly changes: number;
  /** False: there are more changes than were looked at. */
  readonly complete: boolean;
  /** Lines that would be promised, having waited or been refused; those that would lose their promise; and those that would move. */
  readonly gain: number;
  readonly lose: number;
  readonly move: number;
  /** The first lines that would stand otherwise than now. */
  readonly lines: readonly LineDifference[];
}

/** Rows that follow each other in the order of the SKUs. */
interface Run {
  readonly actions: readonly RowAction[];
  /** Of the last of them. */
  readonly upTo: Place;
}

/** What became of a run. */
interface Outcome {
  readonly tally: Tally;
  readonly rejects: readonly RejectedRow[];
  readonly upTo: Place;
}

/** Works the rows of imports off: the one shell around the comparison, for the command line and the service. */
@Injectable()
export class ImportWork {
  private readonly owner = newId();

  constructor(
    private readonly imports: Imports,
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  /**
   * Applies an import from where it is, until it is done or `stop` is called for. Every step is safe to repeat, so that
   * whoever comes after a crash goes on from the last note.
   * @param width commands that are under way at once
   * @returns false if somebody else is at it, or it is over
   */
  async apply(
    id: string,
    { width, stop, onProgress }: { width: number; stop?: AbortSignal; onProgress?: (rows: number) => void },
  ): Promise<boolean> {
    const { imports, owner } = this;
    const position = await imports.take(id, owner);
    if (position === undefined) return false;
    let notes = new Notes(position);
    const note = async (): Promise<void> => {
      if (notes.rows === 0) return;
      await imports.advance(id, owner, notes);
      onProgress?.(notes.rows);
      notes = new Notes(notes.to);
    };
    try {
      for await (const outcome of inOrder(this.runs(id, position, stop), width, (run) => this.perform(run))) {
        notes.add(outcome);
        if (notes.rows >= pageSize) await note();
      }
      await note();
      if (!stop?.aborted) await imports.finish(id, owner, notes.from);
    } catch (error) {
      if (error instanceof ImportTaken) return false;
      await note().catch(() => undefined);
      throw error;
    } finally {
      await imports.release(id, owner).catch(() => undefined);
    }
    return true;
  }

  /** What would be done about the rows of a dry run, and what that would mean for orders. */
  async plan(id: string): Promise<ImportPlan> {
    await this.imports.markRepeatedRows(id);
    const notes = new Notes(beginning);
    const changes: ChangeOfStock[] = [];
    let renewed = 0;
    for await (const run of this.runs(id, beginning)) {
      notes.add(outcomeOf(run));
      notes.rejects.splice(examplesMax);
      changes.push(...run.actions.filter(changesStock).slice(0, planned.changes - changes.length));
      if (notes.rows - renewed >= 10 * pageSize) {
        await this.imports.renew(id);
        renewed = notes.rows;
      }
    }
    const { tally, rejects } = notes;
    const consequences = await this.consequences(changes.map(commandOf), tally.created + tally.changed);
    return { ...tally, actions: changes.slice(0, examplesMax), rejects, consequences };
  }

  /** What is to be done about the rows behind a place; the next page is looked up while one is worked. */
  private async *runs(id: string, after: Place, stop?: AbortSignal): AsyncGenerator<Run> {
    let next = this.compare(id, after);
    try {
      for (;;) {
        const page = await next;
        if (page.length === 0) return;
        next = this.compare(id, page.at(-1)!.upTo);
        next.catch(() => undefined); // It is thrown when its turn has come.
        for (const run of page) {
          if (stop?.aborted) return;
          yield run;
        }
      }
    } finally {
      await next.catch(() => undefined);
    }
  }

  private async compare(id: string, after: Place): Promise<Run[]> {
    const { rows, earlier } = await this.imports.rowsAfter(id, after, pageSize);
    if (rows.length === 0) return [];
    const actions = await this.queries.execute<CompareWithStock, RowAction[]>(new CompareWithStock(rows, earlier));
    const runs: Run[] = [];
    for (let start = 0; start < rows.length; start += runSize) {
      const run = actions.slice(start, start + runSize);
      runs.push({ actions: run, upTo: placeOf(rows[start + run.length - 1]!) });
    }
    return runs;
  }

  /** @throws what has nothing to do with the rows */
  private async perform(run: Run): Promise<Outcome> {
    return outcomeOf(run, await this.record(run.actions.filter(changesStock)));
  }

  /**
   * Changes the stock, in one step if nothing speaks against it, otherwise row by row.
   * @returns the rows that are refused
   */
  private async record(changes: readonly ChangeOfStock[]): Promise<RejectedRow[]> {
    if (changes.length === 0) return [];
    try {
      await this.commands.execute(new RecordBatches(changes.map(commandOf)));
      return [];
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      const [{ line, batch }, ...others] = changes as [ChangeOfStock, ...ChangeOfStock[]];
      if (others.length === 0) {
        if (error.kind === 'unavailable') throw error;
        return [{ line, ref: batch.ref, reason: error.message }];
      }
    }
    const refused: RejectedRow[] = [];
    for (const change of changes) refused.push(...(await this.record([change])));
    return refused;
  }

  /** @param all how many changes there are; those given are the first of them */
  private async consequences(changes: readonly Change[], all: number): Promise<Consequences> {
    try {
      const plan = new PlanChanges(changes, { maxLines: planned.lines });
      const { lines } = await this.queries.execute<PlanChanges, Plan>(plan);
      const count = (was: boolean, is: boolean): number =>
        lines.filter(({ before, after }) => isPromised(before) === was && isPromised(after) === is).length;
      return {
        ...{ changes: changes.length, complete: changes.length === all },
        ...{ gain: count(false, true), lose: count(true, false), move: count(true, true) },
        lines: lines.slice(0, examplesMax),
      };
    } catch (error) {
      if (!(error instanceof DomainError) || error.code !== 'plan-too-large') throw error;
      return this.consequences(changes.slice(0, changes.length >> 2), all);
    }
  }
}

/** What became of rows since it was noted last. */
class Notes {
  readonly tally = { created: 0, changed: 0, unchanged: 0, rejected: 0 };
  readonly rejects: RejectedRow[] = [];
  rows = 0;
  to: Place;

  constructor(readonly from: Place) {
    this.to = from;
  }

  add({ tally, rejects, upTo }: Outcome): void {
    for (const became of outcomes) {
      this.tally[became] += tally[became];
      this.rows += tally[became];
    }
    this.rejects.push(...rejects);
    this.to = upTo;
  }
}

const outcomes = ['created', 'changed', 'unchanged', 'rejected'] as const;

/** @param refused rows that were to change the stock, and could not */
function outcomeOf({ actions, upTo }: Run, refused: readonly RejectedRow[] = []): Outcome {
  const rejects = [...actions.filter(isReject).map(rejectOf), ...refused];
  const done = (kind: RowAction['kind']): RowAction[] =>
    actions.filter((action) => action.kind === kind && !refused.some(({ line }) => line === action.line));
  const [created, changed, unchanged] = [done('create').length, done('change').length, done('nothing').length];
  return { tally: { created, changed, unchanged, rejected: rejects.length }, rejects, upTo };
}

const changesStock = (action: RowAction): action is ChangeOfStock =>
  action.kind === 'create' || action.kind === 'change';

const isReject = (action: RowAction): action is Extract<RowAction, { kind: 'reject' }> => action.kind === 'reject';

const placeOf = (row: SupplierRow): Place => ({ sku: row.problem === undefined ? row.sku : '', line: row.line });

const commandOf = (action: ChangeOfStock): CreateBatch | ChangeBatch => {
  const { ref, sku, qty, eta } = action.batch;
  return action.kind === 'create' ? new CreateBatch(ref, sku, qty, eta) : new ChangeBatch(ref, action.change);
};

const rejectOf = ({ line, ref, reason }: Extract<RowAction, { kind: 'reject' }>): RejectedRow => ({
  line,
  ref,
  reason,
});

const isPromised = (line: LineDifference['before']): boolean => line?.status === 'promised';
