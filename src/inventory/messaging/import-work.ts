import { Injectable } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { v7 as uuidv7 } from 'uuid';
import { ChangeBatch, CreateBatch } from '../../allocation/contract/commands';
import { type Change, type LineDifference, type Plan, PlanChanges } from '../../allocation/contract/queries';
import { DomainError } from '../../kernel/domain-error';
import { inOrder } from '../../platform/in-order';
import { CompareWithStock, type RowAction } from '../contract/imports';
import { Imports, ImportTaken, type RejectedRow, type Tally } from './imports';

/** Rows that are compared with the stock at once, and after which it is noted how far an import is. */
const pageSize = 1_000;
/** Changes whose consequences for orders a plan tells, and lines that they may move. */
const planned = { changes: 1_000, lines: 20_000 };
/** Examples that a plan gives of each kind. */
const examplesMax = 100;

/** What an import would do. */
export interface ImportPlan extends Tally {
  /** The first rows that would create or change batches. */
  readonly actions: readonly Extract<RowAction, { kind: 'create' | 'change' }>[];
  /** The first rows that would be rejected. */
  readonly rejects: readonly RejectedRow[];
  readonly consequences: Consequences;
}

/** What that would mean for order lines. */
export interface Consequences {
  /** So many of the changes were looked at, the first ones of the file. */
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

type Outcome = { readonly line: number } & (
  { readonly as: 'created' | 'changed' | 'unchanged' } | { readonly as: 'rejected'; readonly reject: RejectedRow }
);

/** Works the rows of imports off: the one shell around the comparison, for the command line and the service. */
@Injectable()
export class ImportWork {
  private readonly owner = uuidv7();

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
      for await (const outcome of inOrder(this.actions(id, position, stop), width, (action) => this.perform(action))) {
        notes.add(outcome);
        if (notes.rows === pageSize) await note();
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
    const tally = { created: 0, changed: 0, unchanged: 0, rejected: 0 };
    const rejects: RejectedRow[] = [];
    const changing: ImportPlan['actions'][number][] = [];
    let rows = 0;
    for await (const action of this.actions(id, 0)) {
      if (action.kind === 'create' || action.kind === 'change') {
        tally[action.kind === 'create' ? 'created' : 'changed'] += 1;
        if (changing.length < planned.changes) changing.push(action);
      } else if (action.kind === 'reject') {
        tally.rejected += 1;
        if (rejects.length < examplesMax) rejects.push(rejectOf(action));
      } else {
        tally.unchanged += 1;
      }
      rows += 1;
      if (rows % (10 * pageSize) === 0) await this.imports.renew(id);
    }
    const consequences = await this.consequences(changing.map(commandOf), tally.created + tally.changed);
    return { ...tally, actions: changing.slice(0, examplesMax), rejects, consequences };
  }

  /** What is to be done about the rows behind a line; the next page is looked up while one is worked. */
  private async *actions(id: string, after: number, stop?: AbortSignal): AsyncGenerator<RowAction> {
    let next = this.compare(id, after);
    try {
      for (;;) {
        const page = await next;
        if (page.length === 0) return;
        next = this.compare(id, page.at(-1)!.line);
        next.catch(() => undefined); // It is thrown when its turn has come.
        for (const action of page) {
          if (stop?.aborted) return;
          yield action;
        }
      }
    } finally {
      await next.catch(() => undefined);
    }
  }

  private async compare(id: string, after: number): Promise<RowAction[]> {
    const { rows, earlier } = await this.imports.rowsAfter(id, after, pageSize);
    if (rows.length === 0) return [];
    return this.queries.execute<CompareWithStock, RowAction[]>(new CompareWithStock(rows, earlier));
  }

  /** @throws what has nothing to do with the row */
  private async perform(action: RowAction): Promise<Outcome> {
    const { line } = action;
    if (action.kind === 'reject') return { line, as: 'rejected', reject: rejectOf(action) };
    if (action.kind === 'nothing') return { line, as: 'unchanged' };
    try {
      await this.commands.execute(commandOf(action));
      return { line, as: action.kind === 'create' ? 'created' : 'changed' };
    } catch (error) {
      if (!(error instanceof DomainError) || error.kind === 'unavailable') throw error;
      return { line, as: 'rejected', reject: { line, ref: action.batch.ref, reason: error.message } };
    }
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
  to: number;

  constructor(readonly from: number) {
    this.to = from;
  }

  add(outcome: Outcome): void {
    this.tally[outcome.as] += 1;
    if (outcome.as === 'rejected') this.rejects.push(outcome.reject);
    this.rows += 1;
    this.to = outcome.line;
  }
}

const commandOf = (action: Extract<RowAction, { kind: 'create' | 'change' }>): CreateBatch | ChangeBatch => {
  const { ref, sku, qty, eta } = action.batch;
  return action.kind === 'create' ? new CreateBatch(ref, sku, qty, eta) : new ChangeBatch(ref, action.change);
};

const rejectOf = ({ line, ref, reason }: Extract<RowAction, { kind: 'reject' }>): RejectedRow => ({
  line,
  ref,
  reason,
});

const isPromised = (line: LineDifference['before']): boolean => line?.status === 'promised';
