import type { UnitOfWork } from '../../kernel/unit-of-work';
import { BatchEtaChanged } from '../contract/events';
import type { LineDifference } from '../contract/queries';
import type { AllocationPolicy } from '../domain/allocation-policy';
import { lineDifferences } from '../domain/line-differences';
import type { Product } from '../domain/product';
import type { ProductNeeds } from '../domain/product-needs';
import type { ProductRepository } from '../domain/product-repository';
import { ProductUnitOfWork } from '../domain/product-unit-of-work';

/** What the handlers of a plan work over: a dry run, decided by the plan's policy, that can tell what became different. */
export class PlanUnitOfWork extends ProductUnitOfWork {
  private readonly formerEtas = new Map<string, Map<string, string | null>>();

  constructor(
    private readonly dryRun: UnitOfWork<ProductNeeds, ProductRepository>,
    private readonly policy: AllocationPolicy,
  ) {
    super();
  }

  run<T>(needs: ProductNeeds, work: (products: ProductRepository) => T): Promise<T> {
    return this.dryRun.run(needs, (products) => {
      const result = work(products.under(this.policy));
      for (const product of products.changed()) this.noteEtas(product);
      return result;
    });
  }

  /** All lines that stand otherwise now than before the plan. @throws PlanTooLarge if they are more than `maxLines` */
  differences(maxLines: number): Promise<LineDifference[]> {
    return this.dryRun.run({}, (products) => lineDifferences(products, this.formerEtas, maxLines));
  }

  private noteEtas({ sku, recorded }: Product): void {
    for (const { event } of recorded) {
      if (!(event instanceof BatchEtaChanged)) continue;
      const { ref, previousEta } = event.data;
      const etas = this.formerEtas.get(sku) ?? new Map<string, string | null>();
      if (!etas.has(ref)) this.formerEtas.set(sku, etas.set(ref, previousEta));
    }
  }
}
