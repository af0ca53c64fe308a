import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query, Res } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
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
  ChangeWebhook,
  Redeliver,
  RegisterWebhook,
  RemoveWebhook,
  RotateWebhookSecret,
  type WebhookWithSecret as Registered,
} from '../contract/commands';
import {
  GetWebhook,
  ListWebhookDeliveries,
  ListWebhooks,
  type Webhook as WebhookState,
  type WebhookDeliveryPage as DeliveryPage,
  type WebhookPage as Page,
} from '../contract/queries';
import {
  DeliveryId,
  invalidCursor,
  PlaceById,
  Redelivery,
  unknownDelivery,
  unknownWebhook,
  Webhook,
  WebhookChangeRequest,
  WebhookDeliveryListQuery,
  WebhookDeliveryPage,
  webhookExample,
  WebhookId,
  WebhookListQuery,
  WebhookPage,
  WebhookRequest,
  webhookUrlRefused,
  WebhookWithSecret,
} from './webhooks.schema';

const idOf = (cursor: string | undefined): string | undefined =>
  cursor === undefined ? undefined : decodeCursor(cursor, PlaceById).id;

const cursorOf = (next: string | null): string | null => next && encodeCursor({ id: next });

const shown = (webhook: WebhookState): Webhook => ({
  ...webhook,
  eventTypes: webhook.eventTypes === 'all' ? 'all' : [...webhook.eventTypes],
});

@ApiTags('Webhooks')
@Controller('v1/webhooks')
export class WebhooksController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post()
  @Endpoint('registerWebhook', {
    summary: 'Have an endpoint told of events',
    description:
      'Of everything that is asked for after the answer, at least once and in no particular order: a POST of a CloudEvent in ' +
      'JSON, signed as in Standard Webhooks. Any answer of 2xx within 15 s accepts it; else it is sent again, with the same ' +
      '`webhook-id`, for three days. An answer of 410 disables the webhook.',
    scope: 'ops',
    answers: { 201: json('Registered.', WebhookWithSecret, webhookExample.created, locationHeader) },
    problems: [...badBody, webhookUrlRefused, ...busy],
  })
  async register(
    @Body({ schema: WebhookRequest }) { url, eventTypes, description }: WebhookRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<WebhookWithSecret> {
    const command = new RegisterWebhook(url, eventTypes, description);
    const { webhook, secret } = await this.commands.execute<RegisterWebhook, Registered>(command);
    reply.header('location', `/v1/webhooks/${webhook.id}`);
    return { ...shown(webhook), secret };
  }

  @Get()
  @Endpoint('listWebhooks', {
    summary: 'List webhooks',
    description: 'Oldest first.',
    scope: 'ops',
    answers: { 200: json('A page of webhooks.', WebhookPage, webhookExample.page) },
    problems: [invalidRequest, invalidCursor, overloaded],
  })
  async list(@Query({ schema: WebhookListQuery }) { limit, cursor }: WebhookListQuery): Promise<WebhookPage> {
    const { webhooks, next } = await this.queries.execute<ListWebhooks, Page>(new ListWebhooks(limit, idOf(cursor)));
    return { webhooks: webhooks.map(shown), next: cursorOf(next) };
  }

  @Get(':id')
  @Endpoint('getWebhook', {
    summary: 'Read a webhook',
    scope: 'ops',
    answers: { 200: json('The webhook.', Webhook, webhookExample.webhook) },
    problems: [invalidRequest, unknownWebhook, overloaded],
  })
  async get(@Param('id', { schema: WebhookId }) id: string): Promise<Webhook> {
    return shown(await this.queries.execute<GetWebhook, WebhookState>(new GetWebhook(id)));
  }

  @Patch(':id')
  @Endpoint('changeWebhook', {
    summary: 'Change what a webhook is told of, or disable it',
    description: 'From now on: what waits to be sent is kept, and goes on when the webhook is enabled again.',
    scope: 'ops',
    answers: { 200: json('The webhook.', Webhook, webhookExample.disabled) },
    problems: [...badBody, unknownWebhook, ...busy],
  })
  async change(
    @Param('id', { schema: WebhookId }) id: string,
    @Body({ schema: WebhookChangeRequest }) change: WebhookChangeRequest,
  ): Promise<Webhook> {
    return shown(await this.commands.execute<ChangeWebhook, WebhookState>(new ChangeWebhook(id, change)));
  }

  @Delete(':id')
  @HttpCode(204)
  @Endpoint('removeWebhook', {
    summary: 'Forget a webhook',
    description: 'And all its deliveries, those too that wait to be sent.',
    scope: 'ops',
    answers: { 204: { description: 'It is gone.', content: {} } },
    problems: [invalidRequest, unknownWebhook, ...busy],
  })
  remove(@Param('id', { schema: WebhookId }) id: string): Promise<void> {
    return this.commands.execute<RemoveWebhook, void>(new RemoveWebhook(id));
  }

  @Post(':id/rotate-secret')
  @HttpCode(200)
  @Endpoint('rotateWebhookSecret', {
    summary: 'Give a webhook a new secret',
    description:
      'For 24 hours everything is signed with both, the new one and the one before it, so that no delivery is refused ' +
      'meanwhile. Another rotation within that time ends the first secret at once.',
    scope: 'ops',
    answers: { 200: json('The webhook and its new secret.', WebhookWithSecret, webhookExample.created) },
    problems: [invalidRequest, unknownWebhook, ...busy],
  })
  async rotate(@Param('id', { schema: WebhookId }) id: string): Promise<WebhookWithSecret> {
    const command = new RotateWebhookSecret(id);
    const { webhook, secret } = await this.commands.execute<RotateWebhookSecret, Registered>(command);
    return { ...shown(webhook), secret };
  }

  @Get(':id/deliveries')
  @Endpoint('listWebhookDeliveries', {
    summary: 'List what was sent to a webhook, and what will be',
    description: 'Latest first.',
    scope: 'ops',
    answers: { 200: json('A page of deliveries.', WebhookDeliveryPage, webhookExample.deliveries) },
    problems: [invalidRequest, invalidCursor, unknownWebhook, overloaded],
  })
  async deliveries(
    @Param('id', { schema: WebhookId }) id: string,
    @Query({ schema: WebhookDeliveryListQuery }) { status, limit, cursor }: WebhookDeliveryListQuery,
  ): Promise<WebhookDeliveryPage> {
    const query = new ListWebhookDeliveries(id, limit, status, idOf(cursor));
    const { deliveries, next } = await this.queries.execute<ListWebhookDeliveries, DeliveryPage>(query);
    return { deliveries: [...deliveries], next: cursorOf(next) };
  }

  @Post(':id/deliveries/:deliveryId/redeliver')
  @HttpCode(202)
  @Endpoint('redeliver', {
    summary: 'Send a delivery again',
    description:
      'Whatever became of it; with the same `webhook-id`. To a webhook that is disabled, once it is enabled.',
    scope: 'ops',
    answers: { 202: json('It will be sent.', Redelivery, webhookExample.redelivery) },
    problems: [invalidRequest, unknownDelivery, ...busy],
  })
  async redeliver(
    @Param('id', { schema: WebhookId }) id: string,
    @Param('deliveryId', { schema: DeliveryId }) deliveryId: string,
  ): Promise<Redelivery> {
    await this.commands.execute<Redeliver, void>(new Redeliver(deliveryId, id));
    return { id: deliveryId, status: 'pending' };
  }
}
