import { Module } from '@nestjs/common';
import { Migrations } from '../platform/database/migrate';
import { UnitOfWorkFactory } from '../platform/unit-of-work/unit-of-work-factory';
import { AllocateCommand } from './cli/allocate.command';
import { AllocateFromCsvCommand } from './cli/allocate-from-csv.command';
import { DemoCommand } from './cli/demo.command';
import { ExplainCommand } from './cli/explain.command';
import { PlanCommand } from './cli/plan.command';
import { AllocationPolicies } from './domain/allocation-policies';
import {
  AllocationPolicy,
  EarliestEtaThenSmallestFit,
  LatestEta,
  WarehouseThenEarliestEta,
} from './domain/allocation-policy';
import { ProductDryRun, ProductUnitOfWork } from './domain/product-unit-of-work';
import { AllocateOrderHandler } from './handlers/allocate-order.handler';
import { AllocateHandler } from './handlers/allocate.handler';
import { AmendLineHandler } from './handlers/amend-line.handler';
import { CancelBatchHandler } from './handlers/cancel-batch.handler';
import { ChangeBatchHandler } from './handlers/change-batch.handler';
import { CreateBatchHandler } from './handlers/create-batch.handler';
import { ExplainAllocationHandler } from './handlers/explain-allocation.handler';
import { GetQuoteHandler } from './handlers/get-quote.handler';
import { PlanChangesHandler } from './handlers/plan-changes.handler';
import { RecordBatchesHandler } from './handlers/record-batches.handler';
import { ReleaseLineHandler } from './handlers/release-line.handler';
import { ReleaseOrderHandler } from './handlers/release-order.handler';
import { AllocationsController } from './http/allocations.controller';
import { BookController } from './http/book.controller';
import { BulkController } from './http/bulk.controller';
import { OrdersController } from './http/orders.controller';
import { PlansController } from './http/plans.controller';
import { AllocateMessage } from './messaging/allocate.message';
import { AllocationChannels } from './messaging/allocation.channels';
import { DeallocateMessage } from './messaging/deallocate.message';
import { AllocationEvents } from './messaging/events.schema';
import { LineAllocatedPublisher } from './messaging/line-allocated.publisher';
import { invariants } from './persistence/invariants';
import { Products1763800000001 } from './persistence/migrations/1763800000001-products';
import { ProductStore } from './persistence/product-store';
import { GetBatchesHandler, GetBatchHandler, ListBatchesHandler } from './queries/batches.query';
import { GetOrderHandler } from './queries/order.query';
import { GetUnitsLeftHandler, ListSkusHandler } from './queries/units-left.query';

/** Who gets what: the Product aggregate and its promises. */
@Module({
  controllers: [AllocationsController, BulkController, OrdersController, PlansController, BookController],
  providers: [
    AllocateHandler,
    AllocateOrderHandler,
    AmendLineHandler,
    CancelBatchHandler,
    ChangeBatchHandler,
    CreateBatchHandler,
    RecordBatchesHandler,
    ReleaseLineHandler,
    ReleaseOrderHandler,
    ExplainAllocationHandler,
    GetQuoteHandler,
    PlanChangesHandler,
    GetBatchHandler,
    GetBatchesHandler,
    GetOrderHandler,
    GetUnitsLeftHandler,
    ListBatchesHandler,
    ListSkusHandler,
    ProductStore,
    AllocateMessage,
    AllocationChannels,
    AllocationEvents,
    DeallocateMessage,
    LineAllocatedPublisher,
    AllocateCommand,
    AllocateFromCsvCommand,
    DemoCommand,
    ExplainCommand,
    PlanCommand,
    ...invariants,
    { provide: AllocationPolicy, useClass: WarehouseThenEarliestEta },
    {
      provide: AllocationPolicies,
      inject: [AllocationPolicy],
      useFactory: (inForce: AllocationPolicy) =>
        new AllocationPolicies(
          inForce,
          new WarehouseThenEarliestEta(),
          new EarliestEtaThenSmallestFit(),
          new LatestEta(),
        ),
    },
    {
      provide: ProductUnitOfWork,
      inject: [UnitOfWorkFactory, ProductStore],
      useFactory: (units: UnitOfWorkFactory, store: ProductStore) => units.grouping(store),
    },
    {
      provide: ProductDryRun,
      inject: [UnitOfWorkFactory, ProductStore],
      useFactory: (units: UnitOfWorkFactory, store: ProductStore) => units.dryRun(store),
    },
  ],
})
@Migrations(Products1763800000001)
export class AllocationModule {}
