import { Body, Controller, Get, Post } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiTags } from '@nestjs/swagger';
import { type BatchCreation, CreateBatch } from '../../../../src/allocation/contract/commands';
import { badBody, busy, Endpoint, json } from '../../../../src/platform/http/endpoint';
import { ListSuggestions, type Suggestion } from '../contract/queries';
import { Purchase, PurchaseRequest, Suggestions } from './purchases.schema';

@ApiTags('Purchases')
@Controller('v1/purchases')
export class PurchasesController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get('suggestions')
  @Endpoint('listSuggestions', {
    summary: 'List what should be bought',
    scope: 'stock:read',
    answers: { 200: json('Units that were refused, per SKU.', Suggestions, [{ sku: 'SMALL-TABLE', qty: 10 }]) },
    problems: [...busy],
  })
  suggestions(): Promise<Suggestion[]> {
    return this.queries.execute<ListSuggestions, Suggestion[]>(new ListSuggestions());
  }

  @Post()
  @Endpoint('purchase', {
    summary: 'Take a purchase into account as an inbound batch',
    scope: 'stock:write',
    answers: { 201: json('Promisable from now on.', Purchase, { ref: 'po-1' }) },
    problems: [...badBody, ...busy],
  })
  async purchase(@Body({ schema: PurchaseRequest }) { ref, sku, qty, eta }: PurchaseRequest): Promise<{ ref: string }> {
    await this.commands.execute<CreateBatch, BatchCreation>(new CreateBatch(ref, sku, qty, eta));
    return { ref };
  }
}
