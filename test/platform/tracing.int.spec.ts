import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { traceIdOf } from '../../src/platform/tracing/open-telemetry';
import { freshDatabase, type TestDatabase } from '../support/database';
import { until } from '../support/replica';
import { endAllServers, startServer } from '../support/server';

const correlationId = '0199f4b2-6e1c-7d3a-9c55-3f0a8b1e2d47';
/** What the client says that it is at. */
const incoming = { trace: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' };

interface SentSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly attributes: readonly { readonly key: string; readonly value: object }[];
  readonly status: { readonly code?: number };
}

/** A collector of OpenTelemetry that remembers what it is sent. */
class Collector {
  readonly spans: SentSpan[] = [];
  readonly services = new Set<string>();
  private readonly server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as {
        resourceSpans: {
          resource: { attributes: { key: string; value: { stringValue: string } }[] };
          scopeSpans: { spans: SentSpan[] }[];
        }[];
      };
      for (const { resource, scopeSpans } of body.resourceSpans) {
        this.services.add(resource.attributes.find(({ key }) => key === 'service.name')!.value.stringValue);
        for (const { spans } of scopeSpans) this.spans.push(...spans);
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

describe('Traces', () => {
  const collector = new Collector();
  let test: TestDatabase;

  beforeAll(async () => {
    test = await freshDatabase();
    const server = await startServer({
      DATABASE_URL: test.url,
      ALLOW_UNSAFE_DURABILITY: 'true',
      OTEL_EXPORTER_OTLP_ENDPOINT: await collector.start(),
    });
    const ask = async (path: string, body?: object, headers: Record<string, string> = {}): Promise<Response> => {
      const json = { 'content-type': 'application/json', ...headers };
      return fetch(server.url + path, body ? { method: 'POST', headers: json, body: JSON.stringify(body) } : {});
    };
    const allocate = async (orderId: string, qty: number, headers?: Record<string, string>): Promise<number> =>
      (await ask('/v1/allocations', { orderId, sku: 'LAMP', qty }, headers)).status;

    await ask('/v1/batches', { ref: 'b1', sku: 'LAMP', qty: 100 });
    expect(await allocate('o1', 3, { traceparent: `00-${incoming.trace}-${incoming.span}-01` })).toBe(201);
    expect(await allocate('o2', 300, { 'x-correlation-id': correlationId })).toBe(409);
    await Promise.all(Array.from({ length: 30 }, (_, n) => allocate(`g${n}`, 1)));
    await until(async () => {
      const answer = (await (await ask('/v1/admin/subscribers')).json()) as { subscribers: { lagEvents: number }[] };
      return answer.subscribers.every(({ lagEvents }) => lagEvents === 0);
    });
    // What was not sent yet, is sent at the end.
    expect(await server.end('SIGTERM')).toMatchObject({ code: 0 });
  });

  afterAll(async () => {
    endAllServers();
    await collector.stop();
    await test.drop();
  });

  const ofTrace = (traceId: string): SentSpan[] => collector.spans.filter((span) => span.traceId === traceId);
  const named = (spans: readonly SentSpan[], name: string): SentSpan => {
    const found = spans.filter((span) => span.name === name);
    expect({ name, found: found.length }).toEqual({ name, found: 1 });
    return found[0]!;
  };
  const attribute = ({ attributes }: SentSpan, key: string): unknown =>
    Object.values(attributes.find((one) => one.key === key)?.value ?? {})[0];

  it('show an allocation from the request to its transaction and to its subscribers, as part of the client’s trace', () => {
    const spans = ofTrace(incoming.trace);
    const request = named(spans, 'POST /v1/allocations');
    expect(request.parentSpanId).toBe(incoming.span);
    expect(attribute(request, 'http.response.status_code')).toBe(201);
    const command = named(spans, 'command Allocate');
    expect(command.parentSpanId).toBe(request.spanId);
    expect(named(spans, 'transaction product').parentSpanId).toBe(command.spanId);
    // Every span hangs on another one of the trace, or on the client's, or begins where an event is delivered.
    const ids = new Set([...spans.map(({ spanId }) => spanId), incoming.span, undefined]);
    expect(spans.filter(({ parentSpanId }) => !ids.has(parentSpanId))).toEqual([]);
    const roots = spans.filter(({ parentSpanId }) => parentSpanId === undefined).map(({ name }) => name);
    expect(roots.filter((name) => !name.startsWith('deliver '))).toEqual([]);
    expect(collector.services).toEqual(new Set(['batchwise']));
  });

  it('lead from a request, by its correlation id, to the reaction to what it has led to', () => {
    const spans = ofTrace(traceIdOf(correlationId));
    expect(named(spans, 'POST /v1/allocations').parentSpanId).toBeUndefined();
    const reaction = named(spans, 'reaction email-buyers-when-out-of-stock');
    expect(attribute(reaction, 'batchwise.event')).toBe('allocation.out-of-stock.v1');
    expect(attribute(reaction, 'batchwise.correlation_id')).toBe(correlationId);
  });

  it('show a transaction of several commands as a part of each of them', () => {
    const commands = collector.spans.filter(({ name }) => name === 'command Allocate');
    const transactions = collector.spans.filter(({ name }) => name === 'transaction product');
    const partOf = transactions.flatMap(({ parentSpanId, links = [] }) => [
      parentSpanId,
      ...links.map(({ spanId }) => spanId),
    ]);
    expect(commands).toHaveLength(32);
    expect(commands.filter(({ spanId }) => !partOf.includes(spanId))).toEqual([]);
    expect(transactions.some(({ links = [] }) => links.length > 0)).toBe(true);
  });

  it('have the id of what they are correlated by', () => {
    expect(traceIdOf(correlationId)).toBe('0199f4b26e1c7d3a9c553f0a8b1e2d47');
    expect(traceIdOf('order-1001')).toMatch(/^[0-9a-f]{32}$/);
    expect(traceIdOf('order-1001')).toBe(traceIdOf('order-1001'));
    expect(traceIdOf('0'.repeat(32))).not.toBe('0'.repeat(32));
  });

  it('cost nothing where nobody collects them: nothing is loaded but the API, which comes with the metrics', () => {
    const program = `
      require('./dist/app.module.js');
      const loaded = Object.keys(require.cache).filter((path) => /@opentelemetry.(?!api.)|open-telemetry/.test(path));
      process.stdout.write(JSON.stringify(loaded));`;
    const root = join(__dirname, '../..');
    expect(execFileSync(process.execPath, ['-e', program], { cwd: root, encoding: 'utf8' })).toBe('[]');
  });
});
