import { Body, Controller, Get, Header, HttpCode, Param, Post, Res } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Endpoint, json, text } from '../../platform/http/endpoint';
import { Allocate, CreateBatch } from '../contract/commands';
import type { LineState } from '../contract/order-lines';
import { GetOrder } from '../contract/queries';
import { BookAllocations, BookBatch, BookError, BookLine } from './book.schema';
import { OrderId } from './line.schema';

const error = (description: string, message: string) => json(description, BookError, { message });

const errors = {
  400: error('Whatever is wrong with the request.', 'Invalid sku SMALL-TABEL'),
  401: error('Credentials are asked for, and none that is valid was shown.', 'The credential is not valid.'),
  403: error('The credential does not allow this.', 'The credential does not allow this: it lacks the scope allocate.'),
  429: error('Too many requests, or too many credentials that were not valid.', 'Too many requests.'),
  500: error('The service failed.', 'The service failed; the log of the service tells more by the request id.'),
  503: error(
    'Nothing was changed, or that is not known; send it again.',
    'The service has more work waiting than it can take. Nothing was changed; try again.',
  ),
};

/** The three routes of the book *Architecture Patterns with Python*, as its clients and its tests know them. */
@ApiTags('Book contract')
@Controller()
export class BookController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post('add_batch')
  @Header('content-type', 'text/plain; charset=utf-8')
  @Endpoint('bookAddBatch', {
    summary: 'Take a batch into account',
    scope: 'stock:write',
    errors: 'message',
    answers: { 201: text('Done, now or before.', 'OK'), ...errors },
  })
  async addBatch(@Body({ schema: BookBatch }) { ref, sku, qty, eta }: BookBatch): Promise<string> {
    await this.commands.execute(new CreateBatch(ref, sku, qty, eta ?? null));
    return 'OK';
  }

  @Post('allocate')
  @HttpCode(202)
  @Header('content-type', 'text/plain; charset=utf-8')
  @Endpoint('bookAllocate', {
    summary: 'Promise an order line',
    scope: 'allocate',
    errors: 'message',
    description: 'Also answered with OK when the line is out of stock; that is told by mail.',
    answers: { 202: text('Done.', 'OK'), ...errors },
  })
  async allocate(@Body({ schema: BookLine }) { orderid, sku, qty }: BookLine): Promise<string> {
    await this.commands.execute(new Allocate({ orderId: orderid, lineId: '1', sku, qty }));
    return 'OK';
  }

  @Get('allocations/:orderid')
  @Endpoint('bookGetAllocations', {
    summary: 'Read the promised lines of an order',
    scope: 'stock:read',
    errors: 'message',
    description: 'True immediately after the POST.',
    answers: {
      200: json('The promised lines.', BookAllocations, [{ sku: 'SMALL-TABLE', batchref: 'batch-001' }]),
      ...errors,
      404: text('None is promised.', 'not found'),
    },
  })
  async allocations(
    @Param('orderid', { schema: OrderId }) orderid: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<BookAllocations | string> {
    const lines = await this.queries.execute<GetOrder, LineState[]>(new GetOrder(orderid));
    const promised = lines.flatMap(({ sku, batchRef }) => (batchRef === null ? [] : [{ sku, batchref: batchRef }]));
    if (promised.length > 0) return promised;
    reply.status(404).type('text/plain; charset=utf-8');
    return 'not found';
  }
}
