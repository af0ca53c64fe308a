import { Module } from '@nestjs/common';
import { Migrations } from '../platform/database/migrate';
import { UnitOfWorkFactory } from '../platform/unit-of-work/unit-of-work-factory';
import { AvailabilityCommand } from './cli/availability.command';
import { ImportCommand } from './cli/import.command';
import { LedgerCommand } from './cli/ledger.command';
import { StockCommand } from './cli/stock.command';
import { ThresholdsCommand } from './cli/thresholds.command';
import { StockWatchUnitOfWork } from './domain/stock-watch';
import { ThresholdUnitOfWork } from './domain/threshold';
import { RemoveThresholdHandler } from './handlers/remove-threshold.handler';
import { SetThresholdHandler } from './handlers/set-threshold.handler';
import { BatchesController } from './http/batches.controller';
import { ImportsController } from './http/imports.controller';
import { LedgerController } from './http/ledger.controller';
import { StockController } from './http/stock.controller';
import { StockThresholdController, ThresholdsController } from './http/thresholds.controller';
import { ChangeBatchQuantityMessage } from './messaging/change-batch-quantity.message';
import { CreateBatchMessage } from './messaging/create-batch.message';
import { InventoryEvents } from './messaging/events.schema';
import { ImportWorker } from './messaging/import-worker';
import { ImportWork } from './messaging/import-work';
import { Imports } from './messaging/imports';
import { SupplierFiles } from './messaging/supplier-files';
import { importInvariants } from './persistence/import-invariants';
import { Stock1764100000000 } from './persistence/migrations/1764100000000-stock';
import { Imports1764100000100 } from './persistence/migrations/1764100000100-imports';
import { Thresholds1764100000200 } from './persistence/migrations/1764100000200-thresholds';
import { ThresholdReviews1764100000800 } from './persistence/migrations/1764100000800-threshold-reviews';
import { LowStock1764100000900 } from './persistence/migrations/1764100000900-low-stock';
import { StockWatchStore } from './persistence/stock-watch-store';
import { thresholdInvariants } from './persistence/threshold-invariants';
import { ThresholdStore } from './persistence/threshold-store';
import { StockProjection } from './projections/stock.projection';
import { GetAvailabilityHandler } from './queries/availability.query';
import { CompareWithStockHandler } from './queries/compare-with-stock.query';
import { ExportLedgerHandler, GetLedgerHandler } from './queries/ledger.query';
import { GetStockAsOfHandler, ListPromisesHandler } from './queries/stock-as-of.query';
import { GetStockHandler, ListStockHandler } from './queries/stock.query';
import { GetThresholdHandler, GetThresholdOfSkuHandler, ListThresholdsHandler } from './queries/thresholds.query';
import { WatchStock } from './reactions/watch-stock.publisher';

/** What stock there is, and when it arrives. */
@Module({
  controllers: [
    BatchesController,
    StockController,
    LedgerController,
    ImportsController,
    StockThresholdController,
    ThresholdsController,
  ],
  providers: [
    RemoveThresholdHandler,
    SetThresholdHandler,
    CompareWithStockHandler,
    ExportLedgerHandler,
    GetAvailabilityHandler,
    GetLedgerHandler,
    GetStockAsOfHandler,
    GetStockHandler,
    GetThresholdHandler,
    GetThresholdOfSkuHandler,
    ListPromisesHandler,
    ListStockHandler,
    ListThresholdsHandler,
    StockProjection,
    WatchStock,
    StockWatchStore,
    ThresholdStore,
    ImportWork,
    ImportWorker,
    Imports,
    SupplierFiles,
    ChangeBatchQuantityMessage,
    CreateBatchMessage,
    InventoryEvents,
    AvailabilityCommand,
    ImportCommand,
    LedgerCommand,
    StockCommand,
    ThresholdsCommand,
    ...importInvariants,
    ...thresholdInvariants,
    {
      provide: StockWatchUnitOfWork,
      inject: [UnitOfWorkFactory, StockWatchStore],
      useFactory: (units: UnitOfWorkFactory, store: StockWatchStore) => units.grouping(store),
    },
    {
      provide: ThresholdUnitOfWork,
      inject: [UnitOfWorkFactory, ThresholdStore],
      useFactory: (units: UnitOfWorkFactory, store: ThresholdStore) => units.grouping(store),
    },
  ],
})
@Migrations(
  Stock1764100000000,
  Imports1764100000100,
  Thresholds1764100000200,
  ThresholdReviews1764100000800,
  LowStock1764100000900,
)
export class InventoryModule {}
