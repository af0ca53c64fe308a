import { DryRun, UnitOfWork } from '../../kernel/unit-of-work';
import type { ProductNeeds } from './product-needs';
import type { ProductRepository } from './product-repository';

/** The unit of work over products: what allocation's handlers ask for. */
export abstract class ProductUnitOfWork extends UnitOfWork<ProductNeeds, ProductRepository> {}

/** Works over products that are tried and never stored. */
export abstract class ProductDryRun extends DryRun<ProductNeeds, ProductRepository> {}
