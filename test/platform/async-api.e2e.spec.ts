import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Parser } from '@asyncapi/parser';
import { EventCatalogue } from '../../src/platform/feed/event-catalogue';
import { startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';

/** A severity; errors are below. */
const warning = 1;

describe('The AsyncAPI document', () => {
  let database: TestDatabase;
  let app: NestFastifyApplication;

  beforeAll(async () => {
    database = await freshDatabase();
    app = await startService(database.url);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  it('is valid AsyncAPI 3.0, and leads to a schema wherever it refers to one', async () => {
    const answer = await app.inject('/docs/asyncapi.json');
    const { document, diagnostics } = await new Parser().parse(answer.body);
    expect(diagnostics.filter(({ severity }) => Number(severity) <= warning)).toEqual([]);
    expect(document?.version()).toBe('3.0.0');
  });

  it('tells of every channel of every module, what goes over it, and which way', async () => {
    type Channels = Record<string, { address: string | null; messages: Record<string, { payload: object }> }>;
    type Operations = Record<string, { action: string; channel: { $ref: string } }>;
    const { channels, operations } = (await app.inject('/docs/asyncapi.json')).json<{
      channels: Channels;
      operations: Operations;
    }>();
    const told = Object.entries(channels).map(([name, { messages }]) => [name, Object.keys(messages).sort()] as const);
    const events = app.get(EventCatalogue).types;
    expect(Object.fromEntries(told)).toEqual({
      events,
      webhooks: events,
      'batchwise.events': events,
      'batchwise.commands': ['allocate', 'change_batch_quantity', 'create_batch', 'deallocate'],
      'batchwise.commands.dead': ['dead'],
      change_batch_quantity: ['change_batch_quantity'],
      line_allocated: ['line_allocated'],
    });
    const received = Object.values(operations).filter(({ action }) => action === 'receive');
    expect(received.map(({ channel }) => channel.$ref).sort()).toEqual([
      '#/channels/batchwise.commands',
      '#/channels/change_batch_quantity',
    ]);
    expect(channels.line_allocated!.messages.line_allocated!.payload).toMatchObject({
      required: ['orderid', 'sku', 'qty', 'batchref'],
    });
  });
});
