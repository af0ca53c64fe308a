import { Body, Controller, Delete, Get, Param, Patch, Post, Query, Res } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import {
  type BatchChange,
  type BatchCreation,
  type BatchState,
  CancelBatch,
  ChangeBatch,
  CreateBatch,
} from '../../allocation/contract/commands';
import { type BatchPage as Page, GetBatch, ListBatches } from '../../allocation/contract/queries';
import { DomainError } from '../../kernel/domain-error';
import { decodeCursor, encodeCursor } from '../../platform/http/cursor';
import {
  badBody,
  busy,
  Endpoint,
  invalidRequest,
  json,
  locationHeader,
  overloaded,
} from '../../platform/http/endpoint';
import {
  Batch,
  batchCancelled,
  BatchChangeRequest,
  batchExample,
  batchExists,
  BatchListQuery,
  BatchPage,
  BatchPlace,
  BatchRef,
  BatchRequest,
  ChangedBatch,
  CreatedBatch,
  invalidCursor,
  tooManyLines,
  unknownBatch,
} from './batches.schema';

class UnknownBatch extends DomainError {
  constructor(ref: string) {
    super('unknown-batch', 'not-found', `There is no batch ${ref}.`, { ref });
  }
}

@ApiTags('Batches')
@Controller('v1/batches')
export class BatchesController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post()
  @Endpoint('createBatch', {
    summary: 'Take a batch of stock into account',
    scope: 'stock:write',
    description: 'Lines that wait for its SKU are served at once. The same batch again changes nothing.',
    answers: {
      201: json('Taken into account.', CreatedBatch, batchExample.created, locationHeader),
      200: json('It was there before.', CreatedBatch, batchExample.repeated, locationHeader),
    },
    problems: [...badBody, batchExists, tooManyLines, ...busy],
  })
  async create(
    @Body({ schema: BatchRequest }) { ref, sku, qty, eta }: BatchRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<BatchCreation> {
    const creation = await this.commands.execute<CreateBatch, BatchCreation>(new CreateBatch(ref, sku, qty, eta));
    reply.status(creation.created ? 201 : 200).header('location', `/v1/batches/${ref}`);
    return creation;
  }

  @Get()
  @Endpoint('listBatches', {
    summary: 'List batches',
    scope: 'stock:read',
    description: 'In order of SKU and reference, cancelled ones included; true at once.',
    answers: { 200: json('A page of batches.', BatchPage, batchExample.page) },
    problems: [invalidRequest, invalidCursor, overloaded],
  })
  async list(@Query({ schema: BatchListQuery }) { sku, limit, cursor }: BatchListQuery): Promise<BatchPage> {
    const after = cursor === undefined ? undefined : decodeCursor(cursor, BatchPlace);
    const { batches, next } = await this.queries.execute<ListBatches, Page>(new ListBatches(limit, sku, after));
    return { batches: [...batches], next: next && encodeCursor(next) };
  }

  @Get(':ref')
  @Endpoint('getBatch', {
    summary: 'Read a batch',
    scope: 'stock:read',
    description: 'True at once: it shows every change that was confirmed before the request.',
    answers: { 200: json('The batch.', Batch, batchExample.batch) },
    problems: [invalidRequest, unknownBatch, overloaded],
  })
  async get(@Param('ref', { schema: BatchRef }) ref: string): Promise<BatchState> {
    const batch = await this.queries.execute<GetBatch, BatchState | null>(new GetBatch(ref));
    if (batch === null) throw new UnknownBatch(ref);
    return batch;
  }

  @Patch(':ref')
  @Endpoint('changeBatch', {
    summary: 'Correct the quantity or the ETA of a batch',
    scope: 'stock:write',
    description:
      'A fact from the warehouse or the carrier. Lines that no longer fit lose their promise, newest first, and are promised ' +
      'again from other batches; those that fit nowhere wait, and are the shortfall.',
    answers: { 200: json('The batch, and what the change did to order lines.', ChangedBatch, batchExample.changed) },
    problems: [...badBody, unknownBatch, batchCancelled, tooManyLines, ...busy],
  })
  change(
    @Param('ref', { schema: BatchRef }) ref: string,
    @Body({ schema: BatchChangeRequest }) change: BatchChangeRequest,
  ): Promise<BatchChange> {
    return this.commands.execute<ChangeBatch, BatchChange>(new ChangeBatch(ref, change));
  }

  @Delete(':ref')
  @Endpoint('cancelBatch', {
    summary: 'Cancel a batch',
    scope: 'stock:write',
    description: 'It will never come, or is recalled. What it promised is promised again from other batches, or waits.',
    answers: { 200: json('The batch, and what that did to order lines.', ChangedBatch, batchExample.cancelled) },
    problems: [invalidRequest, unknownBatch, tooManyLines, ...busy],
  })
  cancel(@Param('ref', { schema: BatchRef }) ref: string): Promise<BatchChange> {
    return this.commands.execute<CancelBatch, BatchChange>(new CancelBatch(ref));
  }
}
