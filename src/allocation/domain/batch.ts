import type { BatchState } from '../contract/commands';
import type { RequestedLine } from '../contract/order-lines';

/** Stock of one SKU that is bought together: in the warehouse, or inbound with an ETA. An entity inside {@link Product}. */
export class Batch {
  readonly ref: string;
  readonly sku: string;
  #purchased: number;
  #promised: number;
  #eta: string | null;
  #cancelled: boolean;

  constructor(batch: Omit<BatchState, 'available'>) {
    this.ref = batch.ref;
    this.sku = batch.sku;
    this.#purchased = batch.purchased;
    this.#promised = batch.promised;
    this.#eta = batch.eta;
    this.#cancelled = batch.cancelled;
  }

  get purchased(): number {
    return this.#purchased;
  }

  get promised(): number {
    return this.#promised;
  }

  /** Units that are not promised to anyone; none of a cancelled batch can be had. */
  get available(): number {
    return this.#cancelled ? 0 : this.#purchased - this.#promised;
  }

  /** ISO date of arrival; null: it is in the warehouse. */
  get eta(): string | null {
    return this.#eta;
  }

  get cancelled(): boolean {
    return this.#cancelled;
  }

  /** A line is never split, so it needs all its units from here. */
  canTake({ sku, qty }: Pick<RequestedLine, 'sku' | 'qty'>): boolean {
    return sku === this.sku && !this.#cancelled && this.#purchased - this.#promised >= qty;
  }

  promise(line: RequestedLine): void {
    if (!this.canTake(line)) throw new RangeError(`batch ${this.ref} cannot take ${line.qty} of ${line.sku}`);
    this.#promised += line.qty;
  }

  release(line: RequestedLine): void {
    if (line.qty > this.#promised) throw new RangeError(`batch ${this.ref} has not promised ${line.qty}`);
    this.#promised -= line.qty;
  }

  /** Release first what no longer fits: a batch that promises more than it holds cannot be. */
  changeQuantity(qty: number): void {
    if (qty < this.#promised) throw new RangeError(`batch ${this.ref} has promised more than ${qty}`);
    this.#purchased = qty;
  }

  changeEta(eta: string | null): void {
    this.#eta = eta;
  }

  cancel(): void {
    if (this.#promised > 0) throw new RangeError(`batch ${this.ref} still has promises`);
    this.#cancelled = true;
  }

  /** Whether nothing about the batch differs. */
  equals(other: Batch): boolean {
    return (
      this.ref === other.ref &&
      this.sku === other.sku &&
      this.#purchased === other.#purchased &&
      this.#promised === other.#promised &&
      this.#eta === other.#eta &&
      this.#cancelled === other.#cancelled
    );
  }

  copy(): Batch {
    return new Batch(this);
  }

  state(): BatchState {
    const { ref, sku, purchased, promised, available, eta, cancelled } = this;
    return { ref, sku, purchased, promised, available, eta, cancelled };
  }
}
