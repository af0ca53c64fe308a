import { NotLoaded } from '../../kernel/unit-of-work';
import type { Release } from '../contract/commands';
import type { LineId } from '../contract/order-lines';
import type { AllocationPolicy } from './allocation-policy';
import type { Batch } from './batch';
import { UnknownBatch, UnknownSku } from './errors';
import { OrderLine } from './order-line';
import type { Product } from './product';
import { type ProductNeeds, together } from './product-needs';

/**
 * The Repository: the products of a unit of work, as a collection in memory.
 *
 * A unit of work keeps one of them, filled from the store, and gives each piece of work a {@link copy}; what the work did
 * to the copy shows only after {@link adopt}.
 */
export class ProductRepository {
  private readonly products = new Map<string, Product>();
  private readonly skuOfRef = new Map<string, string>();
  private readonly linesOfOrder = new Map<string, LineId[]>();
  private policy: AllocationPolicy | undefined;

  constructor(private readonly origin?: ProductRepository) {}

  /** @throws UnknownSku if no batch of it was ever taken into account */
  get(sku: string): Product {
    const product = this.find(sku);
    if (!product) throw new UnknownSku(sku);
    return product;
  }

  find(sku: string): Product | undefined {
    const product = this.at(sku);
    return product.version > 0 ? product : undefined;
  }

  /** The product that holds a batch. @throws UnknownBatch */
  getByBatchRef(ref: string): Product {
    const sku = this.ownerOf(ref);
    if (sku === undefined) throw new UnknownBatch(ref);
    return this.get(sku);
  }

  /**
   * The product that owns a batch reference: the one that has it already, otherwise that of `sku`, which owns it from
   * now on; with its first batch a product comes into being.
   */
  claim(ref: string, sku: string): Product {
    const owner = this.ownerOf(ref) ?? sku;
    this.skuOfRef.set(ref, owner);
    return this.at(owner);
  }

  /** The lines of an order, whatever their standing, by SKU and line. */
  linesOf(orderId: string): LineId[] {
    const lines = new Map<string, LineId>();
    for (const line of this.storedLinesOf(orderId)) lines.set(`${line.sku}/${OrderLine.keyOf(line)}`, line);
    for (const product of this.known()) {
      for (const line of product.changedLinesOf(orderId)) lines.set(`${line.sku}/${line.key}`, line);
    }
    return [...lines].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, line]) => line);
  }

  /** Releases lines of any products; what is not known or not promised stays as it is. */
  release(lines: readonly LineId[]): Release {
    const skus = [...new Set(lines.map((line) => line.sku))];
    const releases: Release[] = [];
    const missing: ProductNeeds[] = [];
    for (const sku of skus) {
      try {
        const release = this.find(sku)?.release(lines.filter((line) => line.sku === sku));
        if (release) releases.push(release);
      } catch (error) {
        // What the products of a large order lack is asked for at once, not product by product.
        if (!(error instanceof NotLoaded)) throw error;
        missing.push(error.needs as ProductNeeds);
      }
    }
    if (missing.length > 0) throw new NotLoaded(together(missing));
    return {
      released: releases.flatMap((release) => release.released),
      promised: releases.flatMap((release) => release.promised),
    };
  }

  /** A repository whose changes do not show here until they are adopted. */
  copy(): ProductRepository {
    return new ProductRepository(this);
  }

  /** Has the products that this copy hands out from now on decided by another policy. */
  under(policy: AllocationPolicy): this {
    this.policy = policy;
    return this;
  }

  /** The products that this copy has changed. */
  changed(): Product[] {
    return [...this.products.values()].filter((product) => product.recorded.length > 0);
  }

  /** Makes the changes of a copy of this repository its own; returns the products that the copy changed. */
  adopt(copy: ProductRepository): Product[] {
    const changed = copy.changed();
    for (const product of changed) {
      product.settle();
      this.products.set(product.sku, product);
    }
    for (const [ref, sku] of copy.skuOfRef) this.skuOfRef.set(ref, sku);
    return changed;
  }

  /** Fills the collection from a store. A product that does not exist yet is one of version 0. */
  remember(loaded: {
    products?: Iterable<Product>;
    refs?: Iterable<readonly [ref: string, sku: string]>;
    orders?: Iterable<readonly [orderId: string, lines: LineId[]]>;
  }): void {
    for (const product of loaded.products ?? []) this.products.set(product.sku, product);
    for (const [ref, sku] of loaded.refs ?? []) this.skuOfRef.set(ref, sku);
    for (const [orderId, lines] of loaded.orders ?? []) this.linesOfOrder.set(orderId, lines);
  }

  /** Lets a batch that was loaded later be seen. */
  know(sku: string, batch: Batch): void {
    this.products.get(sku)?.know(batch);
  }

  /** The products in memory. */
  known(): Iterable<Product> {
    return this.origin ? new Map([...this.origin.products, ...this.products]).values() : this.products.values();
  }

  private at(sku: string): Product {
    let product = this.products.get(sku);
    if (!product && this.origin) {
      product = this.origin.at(sku).copy(this.policy);
      this.products.set(sku, product);
    }
    if (!product) throw new Error(`${sku} was not among the needs of this unit of work`);
    return product;
  }

  private ownerOf(ref: string): string | undefined {
    return this.skuOfRef.get(ref) ?? this.origin?.ownerOf(ref);
  }

  private storedLinesOf(orderId: string): LineId[] {
    return this.linesOfOrder.get(orderId) ?? this.origin?.storedLinesOf(orderId) ?? [];
  }
}
