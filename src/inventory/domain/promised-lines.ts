import type { LinePlace, PromisedLine } from '../contract/queries';
import type { StockChange } from './stock-change';

type Promised = Omit<PromisedLine, 'eta'>;

/**
 * The promised lines of a SKU as its changes tell them, in order of order and line, from a place on. Only so many are kept:
 * the places behind them are not looked at, so that memory does not grow with the number of promises.
 */
export class PromisedLines {
  readonly #lines = new Map<string, Promised>();
  readonly #from: string;
  /** From here on nothing is kept. */
  #end: LinePlace | undefined;

  /** @param kept how many lines at least are kept; twice as many may be */
  constructor(
    from?: LinePlace,
    private readonly kept = 10_000,
  ) {
    this.#from = from ? keyOf(from) : '';
  }

  apply(change: StockChange): void {
    if (change.kind !== 'promised' && change.kind !== 'released') return;
    const key = keyOf(change);
    if (change.kind === 'released') this.#lines.delete(key);
    else if (key >= this.#from && (this.#end === undefined || key < keyOf(this.#end))) this.put(key, change);
  }

  /**
   * The first lines, and the place from which to go on; null: there are no more. Fewer than `limit` may come with a place,
   * even none: those that were kept are promised no more, and what is behind them has not been looked at.
   */
  page(limit: number): { readonly lines: readonly Promised[]; readonly next: LinePlace | null } {
    const lines = this.inOrder();
    return { lines: lines.slice(0, limit), next: placeOf(lines[limit] ?? this.#end) };
  }

  private put(key: string, { orderId, lineId, qty, batchRef }: Promised): void {
    this.#lines.set(key, { orderId, lineId, qty, batchRef });
    if (this.#lines.size <= 2 * this.kept) return;
    const dropped = this.inOrder().slice(this.kept);
    this.#end = dropped[0];
    for (const line of dropped) this.#lines.delete(keyOf(line));
  }

  private inOrder(): Promised[] {
    return [...this.#lines].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, line]) => line);
  }
}

/** A space comes before whatever an id may hold, so that texts are in the order of places. */
const keyOf = ({ orderId, lineId }: LinePlace): string => `${orderId} ${lineId}`;

const placeOf = (place: LinePlace | undefined): LinePlace | null =>
  place ? { orderId: place.orderId, lineId: place.lineId } : null;
