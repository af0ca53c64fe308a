import { Body, Controller, Delete, Get, Param, Post, Put, Res } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { DomainError } from '../../kernel/domain-error';
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
  AllocateOrder,
  type Allocation,
  AmendLine,
  type OrderAllocation,
  type Release,
  ReleaseLine,
  ReleaseOrder,
} from '../contract/commands';
import type { LineState } from '../contract/order-lines';
import { GetOrder } from '../contract/queries';
import {
  AllocatedLine,
  lineExample,
  LineId,
  OrderId,
  outOfStock,
  ReleasedLines,
  Sku,
  tooManyLines,
  unknownLine,
  unknownOrder,
  unknownSku,
} from './line.schema';
import {
  AllocatedOrder,
  AmendmentRequest,
  lineProblem,
  Order,
  orderExample,
  orderNotPromised,
  OrderRequest,
  PartialOrder,
} from './orders.schema';

class UnknownOrder extends DomainError {
  constructor(orderId: string) {
    super('unknown-order', 'not-found', `There is no order ${orderId}.`, { orderId });
  }
}

const released = { released: [lineExample.promised], promised: [] };

@ApiTags('Orders')
@Controller('v1/orders')
export class OrdersController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post()
  @Endpoint('allocateOrder', {
    summary: 'Promise the lines of an order',
    scope: 'allocate',
    description:
      'In one step, over any number of SKUs. `all-or-nothing` promises every line or none; `partial` promises what it can. ' +
      'The same order again gets the same answer.',
    answers: {
      201: json('Every line is promised or waits for stock.', AllocatedOrder, orderExample.promised, locationHeader),
      200: json('So it stood before.', AllocatedOrder, orderExample.repeated, locationHeader),
      207: json(
        'Some lines could not be promised (`partial` only).',
        PartialOrder,
        orderExample.partial,
        locationHeader,
      ),
    },
    problems: [...badBody, orderNotPromised, ...busy],
  })
  async allocate(
    @Body({ schema: OrderRequest }) body: OrderRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PartialOrder> {
    const { orderId, lines, ...options } = body;
    const allocation = await this.commands.execute<AllocateOrder, OrderAllocation>(
      new AllocateOrder(
        orderId,
        lines.map((line) => ({ orderId, ...line })),
        options,
      ),
    );
    reply.header('location', `/v1/orders/${orderId}`);
    if (allocation.failed.length === 0 && allocation.lines.every(({ status }) => status !== 'refused')) {
      reply.status(allocation.lines.every(({ repeated }) => repeated) ? 200 : 201);
      return { orderId, lines: [...allocation.lines] };
    }
    reply.status(207);
    return { orderId, lines: outcomes(body, allocation) };
  }

  @Get(':orderId')
  @Endpoint('getOrder', {
    summary: 'Read where the lines of an order stand',
    scope: 'stock:read',
    description: 'True at once: it shows every change that was confirmed before the request.',
    answers: { 200: json('The order.', Order, orderExample.stands) },
    problems: [invalidRequest, unknownOrder, overloaded],
  })
  async get(@Param('orderId', { schema: OrderId }) orderId: string): Promise<Order> {
    const lines = await this.queries.execute<GetOrder, LineState[]>(new GetOrder(orderId));
    if (lines.length === 0) throw new UnknownOrder(orderId);
    return { orderId, lines };
  }

  @Delete(':orderId')
  @Endpoint('releaseOrder', {
    summary: 'Release every line of an order',
    scope: 'allocate',
    description: 'What is neither promised nor waiting is left alone, so that it is safe to repeat.',
    answers: { 200: json('What was given back.', ReleasedLines, released) },
    problems: [invalidRequest, tooManyLines, ...busy],
  })
  release(@Param('orderId', { schema: OrderId }) orderId: string): Promise<Release> {
    return this.commands.execute<ReleaseOrder, Release>(new ReleaseOrder(orderId));
  }

  @Delete(':orderId/lines/:sku')
  @Endpoint('releaseSku', {
    summary: 'Release the line of an order that has the lineId "1"',
    scope: 'allocate',
    description: 'For orders that name every SKU once. What is neither promised nor waiting is left alone.',
    answers: { 200: json('What was given back.', ReleasedLines, released) },
    problems: [invalidRequest, tooManyLines, ...busy],
  })
  releaseSku(
    @Param('orderId', { schema: OrderId }) orderId: string,
    @Param('sku', { schema: Sku }) sku: string,
  ): Promise<Release> {
    return this.releaseLine(orderId, sku, '1');
  }

  @Delete(':orderId/lines/:sku/:lineId')
  @Endpoint('releaseLine', {
    summary: 'Release a line of an order',
    scope: 'allocate',
    description: 'What is neither promised nor waiting is left alone, so that it is safe to repeat.',
    answers: { 200: json('What was given back.', ReleasedLines, released) },
    problems: [invalidRequest, tooManyLines, ...busy],
  })
  releaseLine(
    @Param('orderId', { schema: OrderId }) orderId: string,
    @Param('sku', { schema: Sku }) sku: string,
    @Param('lineId', { schema: LineId }) lineId: string,
  ): Promise<Release> {
    return this.commands.execute<ReleaseLine, Release>(new ReleaseLine({ orderId, lineId, sku }));
  }

  @Put(':orderId/lines/:sku/:lineId')
  @Endpoint('amendLine', {
    summary: 'Change the quantity of a line',
    scope: 'allocate',
    description: 'Releases the line and promises it again in one step. If that cannot be done, the old promise stands.',
    answers: {
      200: json('Where the line stands now.', AllocatedLine, { ...lineExample.promised, qty: 12, repeated: false }),
    },
    problems: [...badBody, unknownSku, unknownLine, outOfStock, tooManyLines, ...busy],
  })
  amend(
    @Param('orderId', { schema: OrderId }) orderId: string,
    @Param('sku', { schema: Sku }) sku: string,
    @Param('lineId', { schema: LineId }) lineId: string,
    @Body({ schema: AmendmentRequest }) { qty }: AmendmentRequest,
  ): Promise<Allocation> {
    return this.commands.execute<AmendLine, Allocation>(new AmendLine({ orderId, lineId, sku }, qty));
  }
}

/** Every line of the request, in its order, with what became of it and why. */
function outcomes({ orderId, lines, priority = 0 }: OrderRequest, allocation: OrderAllocation): PartialOrder['lines'] {
  const key = ({ sku, lineId }: { sku: string; lineId: string }) => `${sku} ${lineId}`;
  const allocated = new Map(allocation.lines.map((line) => [key(line), line]));
  const failed = new Map(allocation.failed.map((line) => [key(line), line]));
  return lines.map((requested) => {
    const line = allocated.get(key(requested));
    const failure = failed.get(key(requested));
    if (line?.status === 'refused')
      return { ...line, problem: lineProblem('out-of-stock', `Out of stock for ${line.sku}.`) };
    if (line !== undefined) return line;
    if (failure === undefined) throw new Error(`The line ${key(requested)} of order ${orderId} has no outcome.`);
    return {
      orderId,
      ...requested,
      status: 'failed',
      batchRef: null,
      eta: null,
      priority,
      repeated: false,
      problem: lineProblem(failure.code, failure.message),
    };
  });
}
