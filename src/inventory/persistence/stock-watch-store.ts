import { Injectable } from '@nestjs/common';
import { RowStore } from '../../platform/unit-of-work/row-store';
import { StockWatch } from '../domain/stock-watch';

type StockWatchRow = { readonly low: boolean; readonly seen: number };

@Injectable()
export class StockWatchStore extends RowStore<StockWatch, StockWatchRow> {
  readonly kind = 'stock';
  readonly table = 'inventory.stock_watch';
  readonly key = 'sku';
  readonly columns = { low: 'boolean', seen: 'bigint' };

  aggregateOf(sku: string, version: number, row: StockWatchRow | undefined): StockWatch {
    return new StockWatch(sku, version, row?.low, row?.seen);
  }

  rowOf({ low, seen }: StockWatch): StockWatchRow {
    return { low, seen };
  }
}
