import type {
  Allocate,
  AllocateOrder,
  Allocation,
  AllocationOptions,
  AmendLine,
  BatchChange,
  BatchCreation,
  BatchState,
  CancelBatch,
  ChangeBatch,
  CreateBatch,
  OrderAllocation,
  Release,
  ReleaseLine,
  ReleaseOrder,
} from './commands';
import type { LineId, LineState, RequestedLine } from './order-lines';

/** The lines of an order, promised, waiting or refused. Answer: `LineState[]`, empty for an order that is not known. */
export class GetOrder {
  constructor(readonly orderId: string) {}
}

/** One batch. Answer: `BatchState | null`. */
export class GetBatch {
  constructor(readonly ref: string) {}
}

/** Batches by their references, in any order. Answer: `BatchState[]`, without those that nobody knows. */
export class GetBatches {
  constructor(readonly refs: readonly string[]) {}
}

/** Batches in order of SKU and reference, cancelled ones included. Answer: {@link BatchPage}. */
export class ListBatches {
  /**
   * @param limit how many at most, 1 to 200
   * @param after the place behind which the page starts: the `next` of the page before
   */
  constructor(
    readonly limit: number,
    readonly sku?: string,
    readonly after?: BatchPlace,
  ) {}
}

export interface BatchPlace {
  readonly sku: string;
  readonly ref: string;
}

export interface BatchPage {
  readonly batches: readonly BatchState[];
  /** Where the next page starts; null on the last. */
  readonly next: BatchPlace | null;
}

/**
 * From where a new line, unsplit, would be promised if it were asked for now; nothing is stored. Answer: {@link Quote};
 * errors: those of {@link Allocate}, as `unknown-sku`.
 */
export class GetQuote {
  constructor(
    readonly sku: string,
    readonly qty: number,
    readonly priority: number = 0,
  ) {}
}

export interface Quote {
  /** null: nothing fits now, or the line would have to wait behind backorders. */
  readonly batchRef: string | null;
  /** When that batch arrives, an ISO date; null for stock in the warehouse, and if there is no batch. */
  readonly eta: string | null;
}

/**
 * Why {@link Allocate} would decide as it would if it were sent now; nothing is stored. Answer: {@link Explanation};
 * errors: those of {@link Allocate}.
 */
export class ExplainAllocation {
  constructor(
    readonly line: RequestedLine,
    readonly options: AllocationOptions = {},
  ) {}
}

export interface Explanation {
  /** The answer that {@link Allocate} would give. */
  readonly allocation: Allocation;
  /** The name of the policy that ranks the batches. */
  readonly policy: string;
  /**
   * `best-fit`: the first batch in order of preference that can take the whole line; `stands`: the line is promised or
   * waits already; `nothing-fits`; `backorders-first`: stock is kept for those who wait with this priority or a higher one.
   */
  readonly reason: 'best-fit' | 'stands' | 'nothing-fits' | 'backorders-first';
  /** The preference of the policy that put the chosen batch before the next one that fits; null if there was no such choice. */
  readonly decidedBy: string | null;
  /** The reason in a sentence for a person. */
  readonly message: string;
  /** The open batches of the SKU, and the one that the line is promised from, in order of preference. */
  readonly candidates: readonly Candidate[];
}

/** A batch that was looked at. */
export interface Candidate {
  readonly batchRef: string;
  readonly eta: string | null;
  /** Units that are not promised, before the allocation. */
  readonly available: number;
  readonly chosen: boolean;
  /** Why it was not chosen; null for the chosen one. */
  readonly passedOver: PassedOver | null;
}

export interface PassedOver {
  readonly reason: 'too-small' | 'less-preferred' | 'kept-for-backorders' | 'line-stands';
  /** The preference of the policy by which the chosen batch is better; null unless `less-preferred`. */
  readonly rule: string | null;
  /** In a sentence for a person. */
  readonly message: string;
}

/** What a plan is made of: the commands that change stock or promises. */
export type Change =
  Allocate | AllocateOrder | AmendLine | ReleaseLine | ReleaseOrder | CreateBatch | ChangeBatch | CancelBatch;

/**
 * What would happen if commands were sent now, one after another; nothing is stored. Answer: {@link Plan}; errors:
 * `unknown-policy`, and `plan-too-large` if more lines would change than `maxLines`.
 */
export class PlanChanges {
  /**
   * @param changes in their order; one that is refused changes nothing, and the next goes on, as in reality
   * @param options.policy the name of the policy that all of them are decided by; the one in force if not given
   * @param options.maxLines how many lines may be different in the end, at most 100,000
   */
  constructor(
    readonly changes: readonly Change[],
    readonly options: { readonly policy?: string | undefined; readonly maxLines?: number | undefined } = {},
  ) {}
}

export interface Plan {
  /** The name of the policy that decided. */
  readonly policy: string;
  /** What each change would be answered with, in their order. */
  readonly outcomes: readonly PlannedOutcome[];
  /** Every line that would stand otherwise than now, once: by SKU, order and line. */
  readonly lines: readonly LineDifference[];
}

/** The answer to the command, or the problem that it would meet. */
export type PlannedOutcome =
  | { readonly result: ChangeResult; readonly problem: null }
  | { readonly result: null; readonly problem: ChangeProblem };

export type ChangeResult = Allocation | OrderAllocation | Release | BatchCreation | BatchChange;

export interface ChangeProblem {
  /** Stable and machine-readable: `unknown-batch`. */
  readonly code: string;
  /** One sentence for a person. */
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface LineDifference extends LineId {
  /** As it stands now; null: the service does not know it. */
  readonly before: LineState | null;
  /** As it would stand; null: it would be released. */
  readonly after: LineState | null;
}

/** What is left of SKUs, true at once. Answer: `UnitsLeft[]` in order of SKU, without those that never had a batch. */
export class GetUnitsLeft {
  constructor(readonly skus: readonly string[]) {}
}

/** What is left of a SKU. */
export interface UnitsLeft {
  readonly sku: string;
  /** The version of the SKU that this shows; its events have the versions 1, 2, 3 … */
  readonly version: number;
  /** Units that can still be promised, from the warehouse or from what is inbound. */
  readonly available: number;
}

/** The SKUs that ever had a batch, in order, true at once. Answer: `string[]`. */
export class ListSkus {
  /**
   * @param prefix what they begin with
   * @param after the SKU behind which the list starts
   */
  constructor(
    readonly limit: number,
    readonly prefix = '',
    readonly after = '',
  ) {}
}

export type { BatchState, LineState };
