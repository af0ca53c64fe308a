import { Controller, Get, Param, Query } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiTags } from '@nestjs/swagger';
import { decodeCursor, encodeCursor } from '../../platform/http/cursor';
import { Endpoint, invalidRequest, json, overloaded } from '../../platform/http/endpoint';
import { GetLedger, type LedgerPage as Ledger, ListPromises, type PromisePage as Promises } from '../contract/queries';
import { invalidCursor } from './batches.schema';
import {
  ledgerExample,
  LedgerPage,
  LedgerPlace,
  LedgerQuery,
  PromiseListQuery,
  PromisePage,
  PromisePlace,
} from './ledger.schema';
import { UnknownSku } from './stock.controller';
import { StockSku, unknownSku } from './stock.schema';

const problems = [invalidRequest, invalidCursor, unknownSku, overloaded];

@ApiTags('Stock')
@Controller('v1/stock/:sku')
export class LedgerController {
  constructor(private readonly queries: QueryBus) {}

  @Get('ledger')
  @Endpoint('getLedger', {
    summary: 'Read everything that happened to a SKU',
    scope: 'stock:read',
    description:
      'Who changed what, when and why, with the numbers before and after; true at once. The numbers are counted from the first ' +
      'event on, so a page takes longer the more events lie before it, or - newest first - the longer the history is: ' +
      'seconds for some hundred thousand. `batchwise ledger` reads the whole of it in one go.',
    answers: { 200: json('A page of the ledger.', LedgerPage, ledgerExample.page) },
    problems,
  })
  async ledger(
    @Param('sku', { schema: StockSku }) sku: string,
    @Query({ schema: LedgerQuery }) { limit, order, cursor, asOf }: LedgerQuery,
  ): Promise<LedgerPage> {
    const behind = cursor === undefined ? undefined : decodeCursor(cursor, LedgerPlace).version;
    const page = await this.queries.execute<GetLedger, Ledger | null>(new GetLedger(sku, limit, order, behind, asOf));
    if (page === null) throw new UnknownSku(sku);
    const { entries, next } = page;
    return { sku, entries: [...entries], next: next === null ? null : encodeCursor({ version: next }) };
  }

  @Get('promises')
  @Endpoint('listPromises', {
    summary: 'List who a SKU is promised to',
    scope: 'stock:read',
    description:
      'In order of order and line; true at once. Each page is worked out from the history of the SKU, and names the version that ' +
      'it shows: give `asOf` for pages that show the same. It takes longer the longer that history is: seconds for some ' +
      'hundred thousand events.',
    answers: { 200: json('A page of lines.', PromisePage, ledgerExample.promises) },
    problems,
  })
  async promises(
    @Param('sku', { schema: StockSku }) sku: string,
    @Query({ schema: PromiseListQuery }) { limit, cursor, asOf }: PromiseListQuery,
  ): Promise<PromisePage> {
    const from = cursor === undefined ? undefined : decodeCursor(cursor, PromisePlace);
    const page = await this.queries.execute<ListPromises, Promises | null>(new ListPromises(sku, limit, from, asOf));
    if (page === null) throw new UnknownSku(sku);
    return { ...page, lines: [...page.lines], next: page.next && encodeCursor(page.next) };
  }
}
