import type { StockNumbers } from '../contract/queries';
import type { StockChange } from './stock-change';
import type { RecordedBatch, RecordedStock } from './stock-levels';

/**
 * The stock of a SKU as its changes tell it, from the first one on. It keeps the batches and the lines that wait, and none of
 * those that are promised: its size does not grow with the length of the history.
 */
export class StockHistory {
  readonly #batches = new Map<string, RecordedBatch>();
  /** Units by line. */
  readonly #waiting = new Map<string, number>();
  #version = 0;
  #onHand = 0;
  #inbound = 0;
  #promised = 0;
  #backordered = 0;

  constructor(readonly sku: string) {}

  /** Of the last change; 0 before the first. */
  get version(): number {
    return this.#version;
  }

  /** As {@link StockNumbers} says. */
  get numbers(): StockNumbers {
    const [onHand, inbound, promised, backordered] = [this.#onHand, this.#inbound, this.#promised, this.#backordered];
    return { onHand, inbound, promised, available: onHand + inbound - promised, backordered };
  }

  /** Batch by batch. */
  get known(): RecordedStock {
    const batches = [...this.#batches.values()].sort((a, b) => (a.ref < b.ref ? -1 : 1));
    return { sku: this.sku, version: this.#version, backordered: this.#backordered, batches };
  }

  /** @throws RangeError if the change cannot follow those before it */
  batch(ref: string): RecordedBatch {
    const batch = this.#batches.get(ref);
    if (!batch) throw new RangeError(`${this.sku} has no batch ${ref}`);
    return batch;
  }

  /** @throws RangeError if the change cannot follow those before it */
  apply(version: number, change: StockChange): void {
    if (version !== this.#version + 1) throw new RangeError(`${this.sku}: ${version} comes after ${this.#version}`);
    this.#version = version;
    switch (change.kind) {
      case 'batch-created':
        return this.addBatch(change);
      case 'batch-quantity':
        return this.changeBatch(change.ref, { purchased: change.qty });
      case 'batch-eta':
        return this.changeBatch(change.ref, { eta: change.eta });
      case 'batch-cancelled':
        return this.changeBatch(change.ref, { cancelled: true });
      case 'promised':
        this.wait(change, 0);
        return this.promise(change.batchRef, change.qty);
      case 'released':
        return this.promise(change.batchRef, -change.qty);
      case 'left-queue':
        return this.wait(change, 0);
      case 'waiting':
        return this.wait(change, change.qty);
      case 'refused':
    }
  }

  private addBatch({ ref, qty: purchased, eta }: { ref: string; qty: number; eta: string | null }): void {
    if (this.#batches.has(ref)) throw new RangeError(`batch ${ref} of ${this.sku} is created again`);
    this.put({ ref, sku: this.sku, purchased, promised: 0, eta, cancelled: false });
  }

  private promise(ref: string, units: number): void {
    this.changeBatch(ref, { promised: this.batch(ref).promised + units });
  }

  private changeBatch(ref: string, change: Partial<RecordedBatch>): void {
    const batch = this.batch(ref);
    this.count(batch, -1);
    this.put({ ...batch, ...change });
  }

  private put(batch: RecordedBatch): void {
    this.#batches.set(batch.ref, batch);
    this.count(batch, 1);
  }

  /** What a cancelled batch has promised counts until it is released. */
  private count({ purchased, promised, eta, cancelled }: RecordedBatch, sign: 1 | -1): void {
    this.#promised += sign * promised;
    if (cancelled) return;
    if (eta === null) this.#onHand += sign * purchased;
    else this.#inbound += sign * purchased;
  }

  /** @param units 0: it does not wait any more */
  private wait({ orderId, lineId }: { orderId: string; lineId: string }, units: number): void {
    const line = `${orderId}/${lineId}`;
    this.#backordered += units - (this.#waiting.get(line) ?? 0);
    if (units > 0) this.#waiting.set(line, units);
    else this.#waiting.delete(line);
  }
}
