import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import Ajv from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import { z } from 'zod';
import { productEvents } from '../../src/allocation/contract/events';
import { ProductFold } from '../../src/allocation/domain/product-fold';
import { StockChanges } from '../../src/inventory/projections/stock-changes';
import { changeOf } from '../../src/inventory/queries/replay';
import { DomainEvent } from '../../src/kernel/event';
import { Database } from '../../src/platform/database/database';
import { type CloudEvent, dataSchemaOf } from '../../src/platform/event-log/cloud-event';
import { type EventClass, revive, type StoredEvent } from '../../src/platform/event-log/stored-event';
import { EventCatalogue } from '../../src/platform/feed/event-catalogue';
import { startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { deliverable } from '../support/relay-world';

const folder = join(__dirname, 'samples');
const source = join(__dirname, '../../src');

/** An event of every type and version that was ever written, as it was stored. They are kept for ever, and never changed. */
const samples = readdirSync(folder)
  .map((file): [string, StoredEvent] => [file, JSON.parse(readFileSync(join(folder, file), 'utf8')) as StoredEvent])
  .sort(([, a], [, b]) => a.version - b.version);

const ofStream = (one: string): StoredEvent[] =>
  samples.map(([, event]) => event).filter(({ stream }) => stream === one);

const eventClasses = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((path) => /^[^/]+\/contract\/.*events\.ts$/.test(path))
  .flatMap((path) => Object.values(jest.requireActual<Record<string, unknown>>(join(source, path))))
  .filter((value): value is EventClass => typeof value === 'function' && value.prototype instanceof DomainEvent);

describe('Events', () => {
  let database: TestDatabase;
  let app: NestFastifyApplication;
  let catalogue: EventCatalogue;

  beforeAll(async () => {
    database = await freshDatabase();
    app = await startService(database.url);
    catalogue = app.get(EventCatalogue);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  it('have a schema each, and a sample for each schema', () => {
    const types = catalogue.types;
    expect(types).toEqual(expect.arrayContaining(eventClasses.map(({ type }) => type)));
    expect(eventClasses.length).toBeGreaterThan(10);
    expect(samples.map(([file]) => file).sort()).toEqual(types.map((type) => `${type}.json`).sort());
    for (const [file, { type }] of samples) expect(file).toBe(`${type}.json`);
  });

  it.each(samples)(
    'that were stored like %s are still what their schema says, and it says all of them',
    (_, sample) => {
      const schema = catalogue.schemaOf(sample.type) as z.ZodObject;
      expect(schema.parse(sample.data)).toEqual(sample.data);
      expect(Object.keys(schema.shape).sort()).toEqual(Object.keys(sample.data).sort());
      for (const name of Object.keys(sample.data)) {
        const rest = Object.entries(sample.data).filter(([other]) => other !== name);
        expect(schema.safeParse(Object.fromEntries(rest)).success).toBe(false);
      }
    },
  );

  it('that were stored of a product still fold to it', () => {
    const fold = new ProductFold('SMALL-TABLE');
    for (const event of ofStream('product:SMALL-TABLE')) {
      const eventClass = productEvents.find(({ type }) => type === event.type)!;
      fold.apply(event.version, revive(event, eventClass));
    }
    const batch = { ref: 'batch-2026-117', sku: 'SMALL-TABLE', purchased: 12, promised: 0, eta: null, cancelled: true };
    expect([...fold.batches.values()]).toEqual([batch]);
    expect([...fold.lines.values()].map(({ orderId, status }) => [orderId, status])).toEqual([
      ['order-1002', 'refused'],
      ['order-1003', 'backordered'],
    ]);
  });

  it('that were stored of a product still come to the same stock', () => {
    const { versions, batches, lines } = new StockChanges(ofStream('product:SMALL-TABLE'));
    expect(versions).toEqual([{ sku: 'SMALL-TABLE', version: 8 }]);
    expect(batches).toEqual([
      {
        sku: 'SMALL-TABLE',
        ref: 'batch-2026-117',
        purchased: 12,
        dated: true,
        eta: null,
        cancelled: true,
        promised: 0,
      },
    ]);
    expect(lines).toEqual([{ sku: 'SMALL-TABLE', order_id: 'order-1003', line_id: '1', qty: 15 }]);
  });

  it('that were stored of a product are still lines of its ledger', () => {
    expect(ofStream('product:SMALL-TABLE').map((event) => changeOf(event).kind)).toEqual([
      'batch-created',
      'batch-eta',
      'promised',
      'refused',
      'waiting',
      'batch-quantity',
      'released',
      'batch-cancelled',
    ]);
  });

  it('are recorded as the served schemas say', async () => {
    const send = async (method: 'POST' | 'PATCH' | 'PUT' | 'DELETE', url: string, payload?: object) => {
      const { statusCode, body } = await app.inject({ method, url, ...(payload && { payload }) });
      if (statusCode >= 500) throw new Error(body);
    };
    await send('POST', '/v1/batches', { ref: 'b-1', sku: 'CHAIR', qty: 10 });
    await send('POST', '/v1/batches', { ref: 'b-2', sku: 'CHAIR', qty: 5, eta: '2031-03-01' });
    await send('POST', '/v1/allocations', { orderId: 'o-1', sku: 'CHAIR', qty: 8 });
    await send('POST', '/v1/allocations', { orderId: 'o-2', sku: 'CHAIR', qty: 50 });
    await send('POST', '/v1/allocations', { orderId: 'o-3', sku: 'CHAIR', qty: 9, whenOutOfStock: 'backorder' });
    await send('PATCH', '/v1/batches/b-1', { qty: 4 });
    await send('PATCH', '/v1/batches/b-2', { eta: null });
    await send('DELETE', '/v1/orders/o-3');
    await send('DELETE', '/v1/batches/b-2');
    await send('PUT', '/v1/stock/CHAIR/threshold', { reorderPoint: 3 });
    await send('DELETE', '/v1/stock/CHAIR/threshold');

    await deliverable(app.get(Database, { strict: false }));
    const { events } = (await app.inject('/v1/events')).json<{ events: CloudEvent[] }>();
    const ajv = addFormats(new Ajv({ strict: false }));
    for (const { type, dataschema, data } of events) {
      const served = await app.inject(`/docs/events/${type}.json`);
      expect(served.headers['content-type']).toContain('application/schema+json');
      const document = served.json<{ $id: string; properties: object }>();
      expect([document.$id, dataschema]).toEqual([dataSchemaOf(type), dataSchemaOf(type)]);
      const validate = ajv.getSchema(document.$id) ?? ajv.compile(document);
      expect({ type, valid: validate(data), errors: validate.errors }).toEqual({ type, valid: true, errors: null });
      expect(Object.keys(document.properties).sort()).toEqual(Object.keys(data).sort());
    }
    const recorded = new Set(events.map(({ type }) => type));
    expect(catalogue.types.filter((type) => !recorded.has(type))).toEqual([
      'inventory.stock-low.v1',
      'inventory.stock-recovered.v1',
    ]);
  });

  it('of which there are none have no schema', async () => {
    for (const file of ['allocation.allocated.v9.json', 'allocation.allocated.v1', 'nothing', '..%2fx.json'])
      expect((await app.inject(`/docs/events/${file}`)).json()).toMatchObject({ code: 'unknown-event-type' });
  });
});
