import { Module } from '@nestjs/common';
import { Migrations } from '../../../src/platform/database/migrate';
import { PurchasesController } from './http/purchases.controller';
import { Purchasing1764000000000 } from './persistence/migrations/1764000000000-purchasing';
import { DemandProjection } from './projections/demand.projection';
import { ListSuggestionsHandler } from './queries/suggestions.query';
import { SuggestPurchaseWhenOutOfStock } from './reactions/suggest-purchase-when-out-of-stock.reaction';

/** What to buy, and what was bought. */
@Module({
  controllers: [PurchasesController],
  providers: [DemandProjection, ListSuggestionsHandler, SuggestPurchaseWhenOutOfStock],
})
@Migrations(Purchasing1764000000000)
export class PurchasingModule {}
