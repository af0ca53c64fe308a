import { Injectable } from '@nestjs/common';
import { RowStore } from '../../platform/unit-of-work/row-store';
import { type Level, Threshold } from '../domain/threshold';

type ThresholdRow = { readonly reorder_point: number | null; readonly clear_at: number | null };

@Injectable()
export class ThresholdStore extends RowStore<Threshold, ThresholdRow> {
  readonly kind = 'threshold';
  readonly table = 'inventory.threshold';
  readonly key = 'pattern';
  readonly columns = { reorder_point: 'bigint', clear_at: 'bigint' };

  aggregateOf(pattern: string, version: number, row: ThresholdRow | undefined): Threshold {
    return new Threshold(pattern, version, levelOf(row));
  }

  rowOf({ level }: Threshold): ThresholdRow {
    return { reorder_point: level?.reorderPoint ?? null, clear_at: level?.clearAt ?? null };
  }
}

function levelOf(row: ThresholdRow | undefined): Level {
  if (!row || row.reorder_point === null || row.clear_at === null) return null;
  return { reorderPoint: row.reorder_point, clearAt: row.clear_at };
}
