import { Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiTags } from '@nestjs/swagger';
import { decodeCursor, encodeCursor } from '../../platform/http/cursor';
import { busy, Endpoint, invalidRequest, json, overloaded } from '../../platform/http/endpoint';
import { Redeliver } from '../contract/commands';
import { type Delivery, ListDeliveries } from '../contract/queries';
import { deliveryExample, DeliveryListQuery, DeliveryPage } from './deliveries.schema';
import { DeliveryId, invalidCursor, PlaceById, Redelivery, unknownDelivery, webhookExample } from './webhooks.schema';

/** What an operator sees of mail and webhooks together; `batchwise deliveries` does the same. */
@ApiTags('Operations')
@Controller('v1/admin/deliveries')
export class DeliveriesController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @Endpoint('listDeliveries', {
    summary: 'List mails and webhook deliveries that were given up, or wait',
    description: 'Oldest first.',
    scope: 'ops',
    answers: { 200: json('A page of deliveries.', DeliveryPage, deliveryExample) },
    problems: [invalidRequest, invalidCursor, overloaded],
  })
  async list(
    @Query({ schema: DeliveryListQuery }) { status, limit, cursor }: DeliveryListQuery,
  ): Promise<DeliveryPage> {
    const after = cursor === undefined ? undefined : decodeCursor(cursor, PlaceById).id;
    const query = new ListDeliveries(status, limit + 1, after);
    const found = await this.queries.execute<ListDeliveries, Delivery[]>(query);
    const deliveries = found.slice(0, limit);
    return { deliveries, next: found.length > limit ? encodeCursor({ id: deliveries.at(-1)!.id }) : null };
  }

  @Post(':deliveryId/redeliver')
  @HttpCode(202)
  @Endpoint('redeliverAny', {
    summary: 'Send a mail or a webhook delivery again',
    description: 'With the same id, by which the receiver tells repetitions. Its attempts begin anew.',
    scope: 'ops',
    answers: { 202: json('It will be sent.', Redelivery, webhookExample.redelivery) },
    problems: [invalidRequest, unknownDelivery, ...busy],
  })
  async redeliver(@Param('deliveryId', { schema: DeliveryId }) id: string): Promise<Redelivery> {
    await this.commands.execute<Redeliver, void>(new Redeliver(id));
    return { id, status: 'pending' };
  }
}
