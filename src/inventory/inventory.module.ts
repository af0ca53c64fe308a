import { Module } from '@nestjs/common';
import { BatchesController } from './http/batches.controller';

/** What stock there is, and when it arrives. */
@Module({
  controllers: [BatchesController],
})
export class InventoryModule {}
