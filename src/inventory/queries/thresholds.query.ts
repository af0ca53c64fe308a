import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { Database } from '../../platform/database/database';
import { GetThreshold, GetThresholdOfSku, ListThresholds, type ThresholdState } from '../contract/queries';
import { UnknownThreshold } from '../domain/threshold';
import { thresholdColumns, thresholdsOf } from '../persistence/threshold-statements';

const thresholdOfPattern = {
  name: 'threshold-of-pattern',
  text: `SELECT ${thresholdColumns} FROM inventory.threshold WHERE pattern = $1 AND reorder_point IS NOT NULL`,
};

const thresholdsAfter = {
  name: 'thresholds-after',
  text: `
    SELECT ${thresholdColumns} FROM inventory.threshold
    WHERE pattern > $1 AND reorder_point IS NOT NULL ORDER BY pattern LIMIT $2`,
};

@QueryHandler(GetThreshold)
export class GetThresholdHandler implements IQueryHandler<GetThreshold> {
  constructor(private readonly database: Database) {}

  async execute({ pattern }: GetThreshold): Promise<ThresholdState> {
    const [threshold] = await this.database.query<ThresholdState>(thresholdOfPattern, [pattern]);
    if (!threshold) throw new UnknownThreshold(pattern);
    return threshold;
  }
}

@QueryHandler(GetThresholdOfSku)
export class GetThresholdOfSkuHandler implements IQueryHandler<GetThresholdOfSku> {
  constructor(private readonly database: Database) {}

  async execute({ sku }: GetThresholdOfSku): Promise<ThresholdState> {
    const threshold = (await thresholdsOf(this.database, [sku])).get(sku);
    if (!threshold) throw new UnknownThreshold(sku);
    return threshold;
  }
}

@QueryHandler(ListThresholds)
export class ListThresholdsHandler implements IQueryHandler<ListThresholds> {
  constructor(private readonly database: Database) {}

  execute({ limit, after }: ListThresholds): Promise<ThresholdState[]> {
    return this.database.query<ThresholdState>(thresholdsAfter, [after, limit]);
  }
}
