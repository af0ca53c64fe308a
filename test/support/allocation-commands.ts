import {
  Allocate,
  AllocateOrder,
  AmendLine,
  CancelBatch,
  ChangeBatch,
  CreateBatch,
  ReleaseLine,
  ReleaseOrder,
  type AllocationOptions,
} from '../../src/allocation/contract/commands';
import type { LineId, RequestedLine } from '../../src/allocation/contract/order-lines';
import type { ProductUnitOfWork } from '../../src/allocation/domain/product-unit-of-work';
import { AllocateOrderHandler } from '../../src/allocation/handlers/allocate-order.handler';
import { AllocateHandler } from '../../src/allocation/handlers/allocate.handler';
import { AmendLineHandler } from '../../src/allocation/handlers/amend-line.handler';
import { CancelBatchHandler } from '../../src/allocation/handlers/cancel-batch.handler';
import { ChangeBatchHandler } from '../../src/allocation/handlers/change-batch.handler';
import { CreateBatchHandler } from '../../src/allocation/handlers/create-batch.handler';
import { ReleaseLineHandler } from '../../src/allocation/handlers/release-line.handler';
import { ReleaseOrderHandler } from '../../src/allocation/handlers/release-order.handler';

/** A line of `qty` units; its lineId is "1" unless a test needs another. */
export const line = (orderId: string, sku: string, qty: number, lineId = '1'): RequestedLine => ({
  orderId,
  lineId,
  sku,
  qty,
});

/** The commands of allocation, each through its own handler over one unit of work. */
export const commandsOver = (unitOfWork: ProductUnitOfWork) => ({
  createBatch: (ref: string, sku: string, qty: number, eta: string | null = null) =>
    new CreateBatchHandler(unitOfWork).execute(new CreateBatch(ref, sku, qty, eta)),
  changeBatch: (ref: string, change: ChangeBatch['change']) =>
    new ChangeBatchHandler(unitOfWork).execute(new ChangeBatch(ref, change)),
  cancelBatch: (ref: string) => new CancelBatchHandler(unitOfWork).execute(new CancelBatch(ref)),
  allocate: (requested: RequestedLine, options?: AllocationOptions) =>
    new AllocateHandler(unitOfWork).execute(new Allocate(requested, options)),
  allocateOrder: (orderId: string, lines: readonly RequestedLine[], options?: AllocateOrder['options']) =>
    new AllocateOrderHandler(unitOfWork).execute(new AllocateOrder(orderId, lines, options)),
  amendLine: (id: LineId, qty: number) => new AmendLineHandler(unitOfWork).execute(new AmendLine(id, qty)),
  releaseLine: (id: LineId) => new ReleaseLineHandler(unitOfWork).execute(new ReleaseLine(id)),
  releaseOrder: (orderId: string) => new ReleaseOrderHandler(unitOfWork).execute(new ReleaseOrder(orderId)),
});

export type Commands = ReturnType<typeof commandsOver>;
