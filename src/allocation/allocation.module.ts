import { Module } from '@nestjs/common';
import { Migrations } from '../platform/database/migrate';
import { UnitOfWorkFactory } from '../platform/unit-of-work/unit-of-work-factory';
import { AllocateFromCsvCommand } from './cli/allocate-from-csv.command';
import { DemoCommand } from './cli/demo.command';
import { AllocationPolicy, WarehouseThenEarliestEta } from './domain/allocation-policy';
import { ProductUnitOfWork } from './domain/product-unit-of-work';
import { AllocateOrderHandler } from './handlers/allocate-order.handler';
import { AllocateHandler } from './handlers/allocate.handler';
import { AmendLineHandler } from './handlers/amend-line.handler';
import { CancelBatchHandler } from './handlers/cancel-batch.handler';
import { ChangeBatchHandler } from './handlers/change-batch.handler';
import { CreateBatchHandler } from './handlers/create-batch.handler';
import { ReleaseLineHandler } from './handlers/release-line.handler';
import { ReleaseOrderHandler } from './handlers/release-order.handler';
import { AllocationsController } from './http/allocations.controller';
import { BookController } from './http/book.controller';
import { OrdersController } from './http/orders.controller';
import { invariants } from './persistence/invariants';
import { Products1763800000001 } from './persistence/migrations/1763800000001-products';
import { ProductStore } from './persistence/product-store';
import { GetBatchHandler, ListBatchesHandler } from './queries/batches.query';
import { GetOrderHandler } from './queries/order.query';

/** Who gets what: the Product aggregate and its promises. */
@Module({
  controllers: [AllocationsController, OrdersController, BookController],
  providers: [
    AllocateHandler,
    AllocateOrderHandler,
    AmendLineHandler,
    CancelBatchHandler,
    ChangeBatchHandler,
    CreateBatchHandler,
    ReleaseLineHandler,
    ReleaseOrderHandler,
    GetBatchHandler,
    GetOrderHandler,
    ListBatchesHandler,
    ProductStore,
    AllocateFromCsvCommand,
    DemoCommand,
    ...invariants,
    { provide: AllocationPolicy, useClass: WarehouseThenEarliestEta },
    {
      provide: ProductUnitOfWork,
      inject: [UnitOfWorkFactory, ProductStore],
      useFactory: (units: UnitOfWorkFactory, store: ProductStore) => units.grouping(store),
    },
  ],
})
@Migrations(Products1763800000001)
export class AllocationModule {}
