import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import Ajv, { type ValidateFunction } from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';
import { runs } from '../support/runs';

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly example?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly minProperties?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly schema: Schema;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >;
}

interface Document {
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** Requests of an operation in a round, and rounds at most: there is another one only where the one before met too little. */
const [requests, rounds] = [runs(30), 5];

/** Operations that hostile requests must be seen to be refused by. */
const refusing = ['allocate', 'allocateOrder', 'createBatch', 'listBatches', 'bookAllocate'];

/** Few of each, so that requests meet what others left behind. */
const known: Record<string, readonly string[]> = {
  sku: ['TABLE', 'CHAIR'],
  ref: ['batch-1', 'batch-2', 'batch-3'],
  orderId: ['order-1', 'order-2'],
  orderid: ['order-1', 'order-2'],
  lineId: ['1', '2'],
  pattern: ['TABLE*', '*'],
};

const hostile = fc.oneof(
  fc.jsonValue(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    0,
    -1,
    1.5,
    2 ** 31,
    2 ** 53,
    1e300,
    '5',
    '',
    ' ',
    'a\u0000b',
    '\ud800',
    "' OR 1=1 --",
    'x'.repeat(5000),
    '2026-02-30',
    [],
    {},
    null,
  ),
);

describe('The OpenAPI document', () => {
  let database: TestDatabase;
  let app: NestFastifyApplication;
  let document: Document;

  beforeAll(async () => {
    database = await freshDatabase();
    app = await startService(database.url);
    document = (await app.inject('/docs/openapi.json')).json();
    await aDelivery();
    await deadLetters();
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  /** A webhook with something to deliver: that comes from the log, which nobody reads here. */
  async function aDelivery(): Promise<void> {
    const client = await database.client();
    const { rows } = await client.query<{ id: string; delivery: string }>(`
      WITH webhook AS (INSERT INTO notifications.webhook (url, description) VALUES ('https://a.test/', '') RETURNING id),
      asked AS (INSERT INTO notifications.webhook_subscription (webhook_id) SELECT id FROM webhook)
      INSERT INTO notifications.webhook_delivery (webhook_id, event_id, stream, version, type)
      SELECT id, gen_random_uuid(), 'product:TABLE', 1, 'allocation.allocated.v1' FROM webhook
      RETURNING webhook_id AS id, id AS delivery`);
    Object.assign(known, { id: rows.map(({ id }) => id), deliveryId: rows.map(({ delivery }) => delivery) });
  }

  /** As many as will not all be replayed or discarded before they are read. */
  async function deadLetters(): Promise<void> {
    const client = await database.client();
    const { rows } = await client.query<{ id: string }>(`
      WITH events AS (
        INSERT INTO platform.event (stream, version, id, type, data, occurred_at, actor)
        SELECT 'product:DEAD', n, gen_random_uuid(), 'allocation.allocated.v1', '{}', now(), 'test'
        FROM generate_series(1, 500) AS n RETURNING stream, version
      ), subscriber AS (INSERT INTO platform.subscriber (name) VALUES ('dead') RETURNING name)
      INSERT INTO platform.parked_event (subscriber, stream, version, attempts, error, dead_at)
      SELECT name, stream, version, 12, 'dead', now() FROM subscriber, events RETURNING id`);
    Object.assign(known, { letterId: rows.map(({ id }) => id), subscriber: ['dead'] });
  }

  const resolve = (schema: Schema): Schema =>
    schema.$ref ? resolve(document.components.schemas[schema.$ref.split('/').at(-1)!]!) : schema;

  /** Values that the schema allows. */
  function allowed(reference: Schema, name = ''): fc.Arbitrary<unknown> {
    const schema = resolve(reference);
    if (schema.enum) return fc.constantFrom(...schema.enum);
    if (schema.const !== undefined) return fc.constant(schema.const);
    const options = schema.anyOf ?? schema.oneOf;
    if (options) return fc.oneof(...options.map((option) => allowed(option, name)));
    switch (schema.type) {
      case 'string': {
        const some = known[name];
        if (some)
          return fc.oneof(
            { weight: 9, arbitrary: fc.constantFrom(...some) },
            fc.stringMatching(new RegExp(schema.pattern!)),
          );
        if (schema.format === 'date')
          return fc
            .date({ min: new Date('1970-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
            .map((day) => day.toISOString().slice(0, 10));
        if (schema.format === 'date-time')
          return fc
            .date({ min: new Date('1970-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
            .map((instant) => instant.toISOString());
        return schema.pattern ? fc.stringMatching(new RegExp(schema.pattern)) : fc.string();
      }
      case 'integer': {
        const { minimum = -1000, maximum = 1000 } = schema;
        const range = fc.integer({ min: minimum, max: maximum });
        return fc.oneof(
          { weight: 4, arbitrary: fc.integer({ min: minimum, max: Math.min(minimum + 50, maximum) }) },
          range,
        );
      }
      case 'array':
        return fc.array(allowed(schema.items!, name), { minLength: schema.minItems ?? 0, maxLength: 4 });
      case 'object': {
        const members = Object.entries(schema.properties ?? {}).map(
          ([key, value]) => [key, allowed(value, key)] as const,
        );
        return fc
          .record(Object.fromEntries(members), { requiredKeys: [...(schema.required ?? [])] })
          .filter((value) => Object.keys(value).length >= (schema.minProperties ?? 0));
      }
      case 'boolean':
        return fc.boolean();
      case 'null':
        return fc.constant(null);
      default:
        throw new Error(`Nothing is known about ${JSON.stringify(schema)}.`);
    }
  }

  /** The same with one member replaced by something else, left out or added; or something else altogether. */
  const spoilt = (good: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
    fc.oneof(
      hostile,
      fc.tuple(good, fc.string(), hostile, fc.nat()).map(([value, name, bad, index]) => {
        if (typeof value !== 'object' || value === null) return bad;
        const names = Object.keys(value);
        const target = index % 3 === 0 ? name : (names[index % names.length] ?? name);
        const rest = Object.fromEntries(Object.entries(value).filter(([each]) => each !== target));
        return index % 3 === 1 ? rest : { ...rest, [target]: bad };
      }),
    );

  /** Answers have exactly the members that are documented, although clients must be ready for more. */
  function validators(): (schema: Schema) => ValidateFunction {
    const closed = JSON.parse(
      JSON.stringify(document.components.schemas, (_, value: unknown) =>
        typeof value === 'object' && value !== null && 'properties' in value && !('additionalProperties' in value)
          ? { ...value, additionalProperties: false }
          : value,
      ),
    ) as object;
    const ajv = addFormats(new Ajv({ strict: false, allErrors: true }));
    ajv.addSchema({ $id: 'document', components: { schemas: closed } });
    const compiled = new Map<string, ValidateFunction>();
    return (schema) => {
      const text = JSON.stringify(schema).replaceAll('"#/', '"document#/');
      const validate = compiled.get(text) ?? ajv.compile(JSON.parse(text) as object);
      compiled.set(text, validate);
      return validate;
    };
  }

  it('tells the whole truth: nothing valid or hostile gets an answer that it does not describe', async () => {
    const validate = validators();
    const seen = new Map<string, Set<number>>();
    const left = new Map([['/v1/webhooks', [...known.id!]]]);
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        path,
        method: method.toUpperCase() as 'GET',
        operation,
      })),
    );
    // What never ends is tested by itself.
    const ending = operations.filter(({ operation }) => !operation.responses[200]?.content?.['text/event-stream']);
    // What creates comes first and what removes last, so that the requests between them find something.
    const turn = ['POST', 'PUT', 'GET', 'PATCH', 'DELETE'];
    ending.sort((a, b) => turn.indexOf(a.method) - turn.indexOf(b.method) || (a.path.includes('batch') ? -1 : 1));

    for (const { path, method, operation } of ending) {
      const statuses = new Set<number>();
      seen.set(operation.operationId, statuses);
      const schema = operation.requestBody?.content['application/json']?.schema;
      const [mediaType = 'application/json', content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
      const streamed = mediaType !== 'application/json';
      const example = content?.schema.example;
      const good = schema
        ? allowed(schema)
        : streamed
          ? fc.oneof(fc.constant(example), fc.string())
          : fc.constant(undefined);
      const body = schema ? fc.oneof({ weight: 2, arbitrary: good }, spoilt(good)) : good;
      const parameters = fc.record(
        Object.fromEntries(
          (operation.parameters ?? []).map(({ name, in: place, required, schema: type }) => {
            const value = fc.oneof(
              { weight: 6, arbitrary: allowed(type, name) },
              // A client takes . and .. out of a path before it sends it.
              fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => place !== 'path' || !/^\.\.?$/.test(text)),
            );
            return [`${place}:${name}`, required ? value : fc.option(value, { nil: undefined })];
          }),
        ),
      );
      const isShown = (): boolean =>
        [...statuses].some((status) => status < 300) &&
        (statuses.has(400) || !refusing.includes(operation.operationId));
      const answersAsDescribed = fc.asyncProperty(body, parameters, async (payload, values) => {
        const query = new URLSearchParams();
        const sent = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
        let url = path;
        const headers: Record<string, string> = {};
        for (const [key, value] of Object.entries(values)) {
          const [place, name = ''] = key.split(':');
          if (place === 'path') url = url.replace(`{${name}}`, encodeURIComponent(sent(value)));
          else if (place === 'header') Object.assign(headers, value !== undefined && { [name]: sent(value) });
          else if (value !== undefined) query.append(name, sent(value));
        }
        const request = {
          method,
          url: query.size > 0 ? `${url}?${query.toString()}` : url,
          headers: {
            ...headers,
            ...(payload !== undefined && { 'content-type': mediaType }),
          },
          ...(payload !== undefined && { payload: streamed ? sent(payload) : JSON.stringify(payload) }),
        };
        const answer = await app.inject(request);
        statuses.add(answer.statusCode);
        const [, collection, made] = /^(.*)\/([^/]+)$/.exec(String(answer.headers.location ?? '')) ?? [];
        if (made && answer.statusCode < 300) {
          left.set(collection!, [...(left.get(collection!) ?? []).slice(0, 2), made]);
          known.id = [...left.values()].flat();
        }
        const told = `${method} ${url} ${JSON.stringify(payload)} → ${answer.statusCode} ${answer.body}`;
        if (answer.statusCode >= 500) throw new Error(told);
        if (headers['Idempotency-Key'] !== undefined && answer.statusCode < 300) {
          const again = await app.inject(request);
          if (again.headers['idempotency-replayed'] !== 'true' || again.body !== answer.body)
            throw new Error(`not answered again: ${told} → ${again.statusCode} ${again.body}`);
        }
        if (answer.statusCode === 204 && operation.responses[204] && answer.body === '') return;
        const [type = ''] = String(answer.headers['content-type']).split(';');
        const documented = operation.responses[answer.statusCode]?.content?.[type];
        if (!documented) throw new Error(`not documented: ${type} ${told}`);
        const check = validate(documented.schema);
        if (!check(/^application\/(problem\+)?json$/.test(type) ? answer.json() : answer.body))
          throw new Error(`not as documented: ${JSON.stringify(check.errors)} ${told}`);
      });
      let round = 0;
      do await fc.assert(answersAsDescribed, { numRuns: requests });
      while (!isShown() && (round += 1) < rounds);
    }

    const unreached = [...seen].filter(([, statuses]) => ![...statuses].some((status) => status < 300));
    expect(unreached).toEqual([]);
    const refused = [...seen].filter(([, statuses]) => statuses.has(400)).map(([operation]) => operation);
    expect(refused).toEqual(expect.arrayContaining(refusing));
  }, 180_000);

  it('says what the operations of each tag are about', () => {
    const tags = Object.values(document.paths).flatMap((methods) => Object.values(methods).flatMap(({ tags }) => tags));
    expect(document.tags.map(({ name }) => name).sort()).toEqual([...new Set(tags)].sort());
  });

  it('has examples that are what they are examples of', () => {
    const validate = validators();
    const wrong: string[] = [];
    const check = (place: string, schema: Schema, example: unknown) => {
      const valid = validate(schema);
      if (!valid(example)) wrong.push(`${place}: ${JSON.stringify(valid.errors)}`);
    };
    for (const methods of Object.values(document.paths))
      for (const { operationId, responses } of Object.values(methods))
        for (const [status, { content = {} }] of Object.entries(responses))
          for (const { schema, ...media } of Object.values(content)) {
            const { example, examples = {} } = media as {
              example?: unknown;
              examples?: Record<string, { value: unknown }>;
            };
            if (example !== undefined) check(`${operationId} ${status}`, schema, example);
            for (const [name, { value }] of Object.entries(examples))
              check(`${operationId} ${status} ${name}`, schema, value);
            if (example === undefined && Object.keys(examples).length === 0)
              wrong.push(`${operationId} ${status}: no example`);
          }
    for (const [name, schema] of Object.entries(document.components.schemas))
      for (const example of (schema as { examples?: unknown[] }).examples ?? []) check(name, schema, example);
    expect(wrong).toEqual([]);
  });
});
