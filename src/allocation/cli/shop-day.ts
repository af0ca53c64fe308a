import {
  Allocate,
  AllocateOrder,
  AmendLine,
  CancelBatch,
  ChangeBatch,
  CreateBatch,
  ReleaseOrder,
} from '../contract/commands';
import type { RequestedLine } from '../contract/order-lines';
import { meanOf, type Quantiles, Random } from './random';

export interface ShopDayOptions {
  /** The same seed, sizes, prefix and date make the same day. */
  readonly seed: number;
  readonly orders: number;
  readonly skus: number;
  /** Begins every id. */
  readonly prefix: string;
  /** From which dates of arrival are counted. */
  readonly today: Date;
}

export type DayCommand = CreateBatch | ChangeBatch | CancelBatch | Allocate | AllocateOrder | AmendLine | ReleaseOrder;

// As measured in a shop: half of the orders have 10 lines or fewer, one in a hundred 193 or more.
const linesPerOrder: Quantiles = [
  [0.5, 10],
  [0.9, 47],
  [0.99, 193],
  [1, 300],
];
const unitsPerLine: Quantiles = [
  [0.5, 3],
  [0.9, 24],
  [0.99, 100],
  [1, 250],
];
/** Shares of the SKUs, the most wanted first, and the share of all lines that goes to them. */
const tiers = [
  { skus: 0.01, lines: 0.1 },
  { skus: 0.1, lines: 0.45 },
  { skus: 1, lines: 1 },
] as const;

/** What happens so many times for each SKU in the course of the day. */
const perSku = { shipment: 2, delay: 0.4, arrival: 0.4, stocktake: 0.4, recall: 0.01 };
/** What happens so many times for each order. */
const perOrder = { amendment: 0.06, cancellation: 0.04 };

const wholesale = 47;

interface KnownBatch {
  readonly ref: string;
  readonly qty: number;
  eta: number | null;
  cancelled: boolean;
  /** The number of the order from which on it can be relied on. */
  readonly knownFrom: number;
}

/**
 * A day of a shop: what is there in the morning, then orders, shipments, delays, stocktakes, a recall, amended and cancelled
 * orders. Made while it is read.
 */
export class ShopDay {
  /**
   * How many commands may be under way at once: what refers to an order or a batch comes so many commands after it, at
   * least.
   */
  readonly atOnce: number;
  private readonly random: Random;
  private readonly batches: KnownBatch[] = [];

  constructor(private readonly options: ShopDayOptions) {
    this.atOnce = Math.min(256, Math.max(4, options.orders >> 3));
    this.random = new Random(options.seed);
  }

  /** About how many commands the day has, the morning included. */
  get size(): number {
    const { skus, orders } = this.options;
    const changes = Object.values(perSku).reduce((sum, times) => sum + times, 0);
    return Math.round(skus * (2 + changes) + orders * (1 + perOrder.amendment + perOrder.cancellation));
  }

  /** What is in the warehouse, and the first shipments. All of it must be done before the day begins. */
  *morning(): Generator<DayCommand> {
    for (let sku = 0; sku < this.options.skus; sku += 1) {
      yield this.newBatch(sku, 0.45, null, 0);
      yield this.newBatch(sku, 0.15, this.random.whole(3, 30), 0);
    }
  }

  *day(): Generator<DayCommand> {
    const { orders, skus } = this.options;
    const due = { shipment: 0, delay: 0, arrival: 0, stocktake: 0, recall: 0.5, amendment: 0, cancellation: 0 };
    const happens = {
      shipment: (n: number) =>
        this.newBatch(this.random.whole(0, skus - 1), 0.18, this.random.whole(5, 60), n + this.atOnce),
      delay: (n: number) => this.delay(n),
      arrival: (n: number) => this.arrival(n),
      stocktake: (n: number) => this.stocktake(n),
      recall: (n: number) => this.recall(n),
      amendment: (n: number) => this.amendment(n),
      cancellation: (n: number) => this.cancellation(n),
    };
    for (let n = 0; n < orders; n += 1) {
      yield this.order(n);
      for (const [kind, times] of Object.entries(perSku)) due[kind as keyof typeof due] += (times * skus) / orders;
      for (const [kind, times] of Object.entries(perOrder)) due[kind as keyof typeof due] += times;
      for (const kind of Object.keys(due) as (keyof typeof due)[]) {
        for (; due[kind] >= 1; due[kind] -= 1) {
          const command = happens[kind](n);
          if (command) yield command;
        }
      }
    }
  }

  private order(n: number): Allocate | AllocateOrder {
    const lines = this.linesOf(n);
    const random = new Random(this.options.seed, 2 * n + 1);
    const options = {
      whenOutOfStock: random.chance(0.5) ? ('backorder' as const) : ('refuse' as const),
      priority: lines.length > wholesale ? 10 : 0,
    };
    if (lines.length === 1) return new Allocate(lines[0]!, options);
    const mode = random.chance(0.75) ? 'partial' : 'all-or-nothing';
    return new AllocateOrder(this.orderId(n), lines, { ...options, mode });
  }

  /** The lines of an order; a SKU may be on several of them. */
  private linesOf(n: number): RequestedLine[] {
    const random = new Random(this.options.seed, 2 * n + 2);
    const seen = new Map<string, number>();
    return Array.from({ length: random.from(linesPerOrder) }, () => {
      const sku = this.sku(this.wanted(random));
      const place = (seen.get(sku) ?? 0) + 1;
      seen.set(sku, place);
      return { orderId: this.orderId(n), lineId: String(place), sku, qty: random.from(unitsPerLine) };
    });
  }

  private wanted(random: Random): number {
    const at = random.next();
    const tier = tiers.findIndex(({ lines }) => at < lines);
    const [from, to] = this.placesOf(tier);
    return random.whole(from, to - 1);
  }

  /** The SKUs of a tier, as a range of their numbers. */
  private placesOf(tier: number): [from: number, to: number] {
    const { skus } = this.options;
    const end = (place: number): number =>
      Math.min(skus, Math.max(place + 1, Math.round((tiers[place]?.skus ?? 0) * skus)));
    const from = tier === 0 ? 0 : Math.min(skus - 1, end(tier - 1));
    return [from, end(tier)];
  }

  /** How many units of a SKU the orders of the day ask for, on average. */
  private demand(sku: number): number {
    const tier = tiers.findIndex((_, place) => sku < this.placesOf(place)[1]);
    const [from, to] = this.placesOf(tier);
    const share = (tiers[tier]!.lines - (tiers[tier - 1]?.lines ?? 0)) / (to - from);
    return this.options.orders * meanLines * share * meanUnits;
  }

  private newBatch(sku: number, shareOfDemand: number, eta: number | null, knownFrom: number): CreateBatch {
    const qty = Math.ceil(this.demand(sku) * shareOfDemand * (0.6 + 0.8 * this.random.next()));
    const ref = `${this.options.prefix}-b${this.batches.length + 1}`;
    this.batches.push({ ref, qty, eta, cancelled: false, knownFrom });
    return new CreateBatch(ref, this.sku(sku), qty, this.date(eta));
  }

  private delay(n: number): ChangeBatch | undefined {
    const batch = this.someBatch(n, ({ eta }) => eta !== null);
    if (!batch) return undefined;
    batch.eta! += this.random.whole(3, 21);
    return new ChangeBatch(batch.ref, { eta: this.date(batch.eta) });
  }

  private arrival(n: number): ChangeBatch | undefined {
    const batch = this.someBatch(n, ({ eta }) => eta !== null);
    if (!batch) return undefined;
    batch.eta = null;
    const short = this.random.chance(0.2);
    return new ChangeBatch(batch.ref, { eta: null, ...(short && { qty: Math.floor(batch.qty * 0.8) }) });
  }

  private stocktake(n: number): ChangeBatch | undefined {
    const batch = this.someBatch(n, ({ eta }) => eta === null);
    return batch && new ChangeBatch(batch.ref, { qty: Math.floor(batch.qty * (0.3 + 0.65 * this.random.next())) });
  }

  private recall(n: number): CancelBatch | undefined {
    const batch = this.someBatch(n, () => true);
    if (!batch) return undefined;
    batch.cancelled = true;
    return new CancelBatch(batch.ref);
  }

  private amendment(n: number): AmendLine | undefined {
    if (n < this.atOnce) return undefined;
    const line = this.random.oneOf(this.linesOf(this.random.whole(0, n - this.atOnce)))!;
    return new AmendLine(line, Math.max(1, Math.round(line.qty * (0.4 + 1.2 * this.random.next()))));
  }

  private cancellation(n: number): ReleaseOrder | undefined {
    if (n < this.atOnce) return undefined;
    return new ReleaseOrder(this.orderId(this.random.whole(0, n - this.atOnce)));
  }

  /** A batch that is known by now, if chance hits one that will do in a few tries. */
  private someBatch(n: number, fits: (batch: KnownBatch) => boolean): KnownBatch | undefined {
    for (let tries = 0; tries < 20; tries += 1) {
      const batch = this.random.oneOf(this.batches)!;
      if (batch.knownFrom <= n && !batch.cancelled && fits(batch)) return batch;
    }
    return undefined;
  }

  private sku(place: number): string {
    return `${this.options.prefix}-sku${place + 1}`;
  }

  private orderId(n: number): string {
    return `${this.options.prefix}-o${n + 1}`;
  }

  /** @param days from today; null: it is in the warehouse */
  private date(days: number | null): string | null {
    if (days === null) return null;
    const date = new Date(this.options.today);
    date.setUTCDate(date.getUTCDate() + days);
    return date.toISOString().slice(0, 10);
  }
}

const meanLines = meanOf(linesPerOrder);
const meanUnits = meanOf(unitsPerLine);
