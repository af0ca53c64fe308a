/** A batch as stock of its SKU. Quantities in units. */
export interface StockBatch {
  readonly ref: string;
  readonly sku: string;
  readonly purchased: number;
  readonly promised: number;
  /** What can still be promised: `purchased - promised`; 0 of a cancelled batch. */
  readonly available: number;
  /** ISO date of arrival; null: it is in the warehouse. */
  readonly eta: string | null;
  readonly cancelled: boolean;
  /** Its ETA has passed, and it has not arrived. */
  readonly late: boolean;
}

/** How much there is of a SKU. Quantities in units, of batches that are not cancelled. */
export interface StockLevels {
  readonly sku: string;
  /** The version of the SKU that this shows; its events have the versions 1, 2, 3 … */
  readonly version: number;
  /** Purchased, in the warehouse. */
  readonly onHand: number;
  /** Purchased, with an ETA: late batches are among them. */
  readonly inbound: number;
  /** Promised to order lines, from the warehouse or from what is inbound. */
  readonly promised: number;
  /** What is left: `onHand + inbound - promised`. */
  readonly available: number;
  /** Wanted by order lines that wait. */
  readonly backordered: number;
  /** The earliest ETA, an ISO date; a day that has passed if that batch is late; null: nothing is inbound. */
  readonly nextArrival: string | null;
  /** Those of `inbound` whose ETA has passed. */
  readonly lateUnits: number;
}

/** How much there is of a SKU, batch by batch: in order of reference, cancelled ones included. */
export interface Stock extends StockLevels {
  /** How many batches there are, those included that `batches` leaves out. */
  readonly batchCount: number;
  readonly batches: readonly StockBatch[];
}

/** How much there is of a SKU now. Eventual: it follows the events of allocation. Answer: `Stock | null`. */
export class GetStock {
  /** @param most how many batches at most; those that are closed (cancelled, or in the warehouse and used up) are left out first */
  constructor(
    readonly sku: string,
    readonly most = Infinity,
  ) {}
}

/** How much there was of a SKU at an instant. Answer: `Stock | null`; null: it was not known then. */
export class GetStockAsOf {
  /**
   * @param instant ISO instant; its day (UTC) is the one by which batches are late
   * @param most how many batches at most: see {@link GetStock}
   */
  constructor(
    readonly sku: string,
    readonly instant: string,
    readonly most = Infinity,
  ) {}
}

/** `low`: by its threshold; `out`: nothing is available; `late`: a batch is late. */
export type StockStatus = 'low' | 'out' | 'late';

/** Ties are in order of SKU. `nextArrival`: SKUs without one come last. `-available`: most first, ties by SKU backwards. */
export type StockOrder = 'sku' | 'available' | '-available' | 'nextArrival';

/** SKUs and how much there is of them. Eventual. Answer: {@link StockPage}. */
export class ListStock {
  /**
   * @param limit how many at most, 1 to 200
   * @param after the place behind which the page starts: the `next` of the page before
   */
  constructor(
    readonly limit: number,
    readonly order: StockOrder = 'sku',
    readonly status?: StockStatus,
    readonly after?: StockPlace,
  ) {}
}

/** Where a SKU stands in each of the orders. */
export type StockPlace = Pick<StockLevels, 'sku' | 'available' | 'nextArrival'>;

export interface StockPage {
  readonly stock: readonly StockLevels[];
  /** Where the next page starts; null on the last. */
  readonly next: StockPlace | null;
}

/**
 * What will be free on each day. Answer: `Availability | null`; null: the SKU is not known, or was not at `asOf`.
 * @throws InvalidRange
 */
export class GetAvailability {
  /**
   * @param range ISO dates, both included: by default from today (UTC) for 30 days more, 366 days at most
   * @param qty units of the line that is asked for, 1 to 2,147,483,647
   * @param asOf ISO instant: as it looked then, `today` being its day
   */
  constructor(
    readonly sku: string,
    readonly range: { readonly from?: string | undefined; readonly to?: string | undefined } = {},
    readonly qty: number = 1,
    readonly asOf?: string,
  ) {}
}

/** Units that nobody was promised, and the day from which they count. */
export interface FreeUnits {
  readonly batchRef: string;
  readonly units: number;
  /** As the batch says: null is the warehouse. */
  readonly eta: string | null;
  readonly late: boolean;
  /** The first day on which they count: today for the warehouse and for what is late, else the ETA. An ISO date. */
  readonly countedFrom: string;
}

export interface AvailableDay {
  readonly date: string;
  /** Units that are free on this day: the sum of those that are counted from it or from a day before. */
  readonly available: number;
  /** The largest line that a single batch could take: lines are never split. */
  readonly largestLine: number;
}

/** When a line can be had. */
export interface EarliestLine {
  readonly qty: number;
  /** The batch that it would be promised from; null: it fits into none. */
  readonly batchRef: string | null;
  /** The day from which that batch counts; null with it. */
  readonly date: string | null;
}

export interface Availability {
  readonly sku: string;
  readonly version: number;
  readonly from: string;
  readonly to: string;
  readonly backordered: number;
  /** Where the units come from, as far as they count by `to`: the warehouse first, then by ETA. */
  readonly free: readonly FreeUnits[];
  /** Every day from `from` to `to`. */
  readonly days: readonly AvailableDay[];
  readonly earliest: EarliestLine;
}

/** When stock of the SKUs that match is low: the most specific threshold of a SKU decides. Quantities in units. */
export interface ThresholdState {
  /** A SKU; or a pattern of SKUs, in which `*` stands for any characters, or none. */
  readonly pattern: string;
  /** Stock is low when this many units can still be promised, or fewer. */
  readonly reorderPoint: number;
  /** Stock that is low has recovered when this many units can be promised again. */
  readonly clearAt: number;
}

/** The threshold of a SKU itself, or of a pattern itself. Answer: {@link ThresholdState}. @throws UnknownThreshold */
export class GetThreshold {
  constructor(readonly pattern: string) {}
}

/** The threshold that decides about a SKU. Answer: {@link ThresholdState}. @throws UnknownThreshold */
export class GetThresholdOfSku {
  constructor(readonly sku: string) {}
}

/** Thresholds in order of their patterns. Answer: `ThresholdState[]`. */
export class ListThresholds {
  /** @param after the pattern behind which the list starts */
  constructor(
    readonly limit: number,
    readonly after = '',
  ) {}
}

/**
 * How much there was of a SKU between two of its changes, in units: as {@link StockLevels} says, and `available` is
 * `onHand + inbound - promised`. Between the changes of one step it may be below zero: first a batch shrinks, or is cancelled,
 * then its lines are released; until then they count as promised.
 */
export type StockNumbers = Pick<StockLevels, 'onHand' | 'inbound' | 'promised' | 'available' | 'backordered'>;

/** A change of a SKU's stock, or of who it is promised to. */
export interface LedgerEntry {
  /** 1, 2, 3 … without a gap. */
  readonly version: number;
  /** ISO instant with microseconds, by the database's clock; never before that of the version before. */
  readonly occurredAt: string;
  readonly eventId: string;
  /** Of the event. */
  readonly type: string;
  /** What happened and why, as a sentence. */
  readonly reason: string;
  readonly actor: string;
  /** Ties together everything that one request led to. */
  readonly correlationId: string | null;
  /** The request, or the event, that led to it directly. */
  readonly causationId: string | null;
  readonly before: StockNumbers;
  readonly after: StockNumbers;
}

/** A page of a SKU's ledger. Answer: `LedgerPage | null`; null: the SKU is not known, or was not at `asOf`. */
export class GetLedger {
  /**
   * @param limit how many entries at most
   * @param order `asc`: the oldest first; `desc`: the newest first
   * @param behind the version behind which, in that order, the page starts: the `next` of the page before
   * @param asOf ISO instant: up to then, and including it
   */
  constructor(
    readonly sku: string,
    readonly limit: number,
    readonly order: 'asc' | 'desc' = 'asc',
    readonly behind?: number,
    readonly asOf?: string,
  ) {}
}

export interface LedgerPage {
  readonly sku: string;
  readonly entries: readonly LedgerEntry[];
  /** Where the next page starts; null on the last. */
  readonly next: number | null;
}

/** The entire ledger of a SKU, the oldest entry first. Answer: `AsyncIterable<readonly LedgerEntry[]>`, a chunk at a time. */
export class ExportLedger {
  /** @param asOf ISO instant: up to then, and including it */
  constructor(
    readonly sku: string,
    readonly asOf?: string,
  ) {}
}

/** Where a line stands among those of a SKU. */
export interface LinePlace {
  readonly orderId: string;
  readonly lineId: string;
}

/** A line that has been promised units. */
export interface PromisedLine extends LinePlace {
  readonly qty: number;
  readonly batchRef: string;
  /** When that batch arrives, as it was known then: an ISO date; null: it is in the warehouse. */
  readonly eta: string | null;
}

/** Who a SKU is promised to. Answer: `PromisePage | null`; null: the SKU is not known, or was not at `asOf`. */
export class ListPromises {
  /**
   * @param limit how many lines at most
   * @param from the place with which the page starts: the `next` of the page before
   * @param asOf ISO instant: as it was then; now by default
   */
  constructor(
    readonly sku: string,
    readonly limit: number,
    readonly from?: LinePlace,
    readonly asOf?: string,
  ) {}
}

/** Promised lines in order of order and line. */
export interface PromisePage {
  readonly sku: string;
  /** The version of the SKU that this shows. */
  readonly version: number;
  readonly lines: readonly PromisedLine[];
  /** Where the next page starts; null on the last. A page that is not the last may have fewer lines than asked for. */
  readonly next: LinePlace | null;
}
