import { Body, Controller, Delete, Get, Param, Put, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiTags } from '@nestjs/swagger';
import { decodeCursor, encodeCursor } from '../../platform/http/cursor';
import { badBody, busy, Endpoint, invalidRequest, json, overloaded } from '../../platform/http/endpoint';
import { RemoveThreshold, SetThreshold } from '../contract/commands';
import { GetThreshold, GetThresholdOfSku, ListThresholds, type ThresholdState } from '../contract/queries';
import { invalidCursor } from './batches.schema';
import {
  invalidClearAt,
  Sku,
  SkuPattern,
  Threshold,
  thresholdExample,
  ThresholdListQuery,
  ThresholdPage,
  ThresholdPlace,
  ThresholdRequest,
  unknownThreshold,
} from './thresholds.schema';

const howTold =
  'It is judged anew within moments: the events `inventory.stock-low.v1` and `inventory.stock-recovered.v1` tell what came of it.';

@ApiTags('Thresholds')
@Controller('v1/thresholds')
export class ThresholdsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @Endpoint('listThresholds', {
    summary: 'List thresholds',
    scope: 'stock:read',
    description: 'Those of SKUs and those of patterns, in order of the patterns; true at once.',
    answers: { 200: json('A page of thresholds.', ThresholdPage, thresholdExample.page) },
    problems: [invalidRequest, invalidCursor, overloaded],
  })
  async list(@Query({ schema: ThresholdListQuery }) { limit, cursor }: ThresholdListQuery): Promise<ThresholdPage> {
    const after = cursor === undefined ? undefined : decodeCursor(cursor, ThresholdPlace).pattern;
    const found = await this.queries.execute<ListThresholds, ThresholdState[]>(new ListThresholds(limit + 1, after));
    const thresholds = found.slice(0, limit);
    const next = found.length > limit ? encodeCursor({ pattern: thresholds.at(-1)!.pattern }) : null;
    return { thresholds, next };
  }

  @Get(':pattern')
  @Endpoint('getThreshold', {
    summary: 'Read the threshold of a pattern',
    scope: 'stock:read',
    description: 'Of exactly this pattern, or of exactly this SKU.',
    answers: { 200: json('The threshold.', Threshold, thresholdExample.ofMany) },
    problems: [invalidRequest, unknownThreshold, overloaded],
  })
  get(@Param('pattern', { schema: SkuPattern }) pattern: string): Promise<ThresholdState> {
    return this.queries.execute<GetThreshold, ThresholdState>(new GetThreshold(pattern));
  }

  @Put(':pattern')
  @Endpoint('setThreshold', {
    summary: 'Say when stock of many SKUs is low',
    scope: 'stock:write',
    description:
      'Of the SKUs that match a pattern such as `TABLE-*`. The most specific threshold of a SKU decides: its own, otherwise ' +
      `the one with the most characters that are not asterisks; of equal ones the first in order. ${howTold}`,
    answers: { 200: json('So it is from now on.', Threshold, thresholdExample.ofMany) },
    problems: [...badBody, invalidClearAt, ...busy],
  })
  set(
    @Param('pattern', { schema: SkuPattern }) pattern: string,
    @Body({ schema: ThresholdRequest }) { reorderPoint, clearAt }: ThresholdRequest,
  ): Promise<ThresholdState> {
    return this.commands.execute<SetThreshold, ThresholdState>(new SetThreshold(pattern, reorderPoint, clearAt));
  }

  @Delete(':pattern')
  @Endpoint('removeThreshold', {
    summary: 'Remove the threshold of a pattern',
    scope: 'stock:write',
    description: `What is less specific decides about its SKUs from now on, or nothing. ${howTold}`,
    answers: { 200: json('As it was.', Threshold, thresholdExample.ofMany) },
    problems: [invalidRequest, unknownThreshold, ...busy],
  })
  remove(@Param('pattern', { schema: SkuPattern }) pattern: string): Promise<ThresholdState> {
    return this.commands.execute<RemoveThreshold, ThresholdState>(new RemoveThreshold(pattern));
  }
}

@ApiTags('Thresholds')
@Controller('v1/stock/:sku/threshold')
export class StockThresholdController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @Endpoint('getStockThreshold', {
    summary: 'Read which threshold decides about a SKU',
    scope: 'stock:read',
    description: 'Its own, or the most specific one whose pattern matches.',
    answers: { 200: json('The threshold that decides.', Threshold, thresholdExample.ofSku) },
    problems: [invalidRequest, unknownThreshold, overloaded],
  })
  get(@Param('sku', { schema: Sku }) sku: string): Promise<ThresholdState> {
    return this.queries.execute<GetThresholdOfSku, ThresholdState>(new GetThresholdOfSku(sku));
  }

  @Put()
  @Endpoint('setStockThreshold', {
    summary: 'Say when stock of a SKU is low',
    scope: 'stock:write',
    description: `The SKU need not have stock yet. ${howTold}`,
    answers: { 200: json('So it is from now on.', Threshold, thresholdExample.ofSku) },
    problems: [...badBody, invalidClearAt, ...busy],
  })
  set(
    @Param('sku', { schema: Sku }) sku: string,
    @Body({ schema: ThresholdRequest }) { reorderPoint, clearAt }: ThresholdRequest,
  ): Promise<ThresholdState> {
    return this.commands.execute<SetThreshold, ThresholdState>(new SetThreshold(sku, reorderPoint, clearAt));
  }

  @Delete()
  @Endpoint('removeStockThreshold', {
    summary: 'Remove the threshold of a SKU',
    scope: 'stock:write',
    description: `Its own: a pattern that matches decides from now on, or nothing. ${howTold}`,
    answers: { 200: json('As it was.', Threshold, thresholdExample.ofSku) },
    problems: [invalidRequest, unknownThreshold, ...busy],
  })
  remove(@Param('sku', { schema: Sku }) sku: string): Promise<ThresholdState> {
    return this.commands.execute<RemoveThreshold, ThresholdState>(new RemoveThreshold(sku));
  }
}
