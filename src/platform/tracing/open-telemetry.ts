import { createHash } from 'node:crypto';
import {
  type Context,
  context,
  isSpanContextValid,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  type IdGenerator,
  NodeTracerProvider,
  RandomIdGenerator,
} from '@opentelemetry/sdk-trace-node';
import { type Attributes, collectSpans, type RequestSpan, type Spans, type SpanStart } from './spans';

/** The id of the trace of a correlation id: itself, if it is made like one, as UUIDs are without their dashes. */
export function traceIdOf(correlationId: string): string {
  const digits = correlationId.replaceAll('-', '').toLowerCase();
  if (/^[0-9a-f]{32}$/.test(digits) && !/^0+$/.test(digits)) return digits;
  return createHash('sha256').update(correlationId).digest('hex').slice(0, 32);
}

/** Ids by chance, unless the next trace has one already. */
class TraceIds implements IdGenerator {
  private readonly random = new RandomIdGenerator();
  private next: string | undefined;

  generateTraceId(): string {
    return this.next ?? this.random.generateTraceId();
  }

  generateSpanId(): string {
    return this.random.generateSpanId();
  }

  /** Begins something whose trace, if it is a new one, has the id `traceId`. */
  during<T>(traceId: string | undefined, begin: () => T): T {
    this.next = traceId;
    try {
      return begin();
    } finally {
      this.next = undefined;
    }
  }
}

/** Spans of OpenTelemetry. */
class OpenTelemetrySpans implements Spans {
  constructor(
    private readonly tracer: Tracer,
    private readonly ids: TraceIds,
  ) {}

  during<T>(start: SpanStart, work: () => T): T {
    const parent = this.parentOf(start);
    const span = this.begin(start, SpanKind.INTERNAL, parent);
    const end = (error?: unknown): void => {
      const linked = (start.partOf?.() ?? []) as readonly SpanContext[];
      const links = linked.filter(({ spanId }) => spanId !== trace.getSpanContext(parent)?.spanId);
      span.addLinks(links.map((one): Link => ({ context: one })));
      if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) });
      span.end();
    };
    return context.with(trace.setSpan(parent, span), () => untilDone(work, end));
  }

  duringRequest(start: RequestSpan, work: () => void): void {
    const incoming = propagation.extract(ROOT_CONTEXT, start.headers);
    const span = this.begin(start, SpanKind.SERVER, incoming);
    start.over((attributes, failed) => {
      span.setAttributes(attributes);
      if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    });
    context.with(trace.setSpan(incoming, span), work);
  }

  traceOf(headers: RequestSpan['headers']): string | undefined {
    const incoming = trace.getSpanContext(propagation.extract(ROOT_CONTEXT, headers));
    return incoming && isSpanContextValid(incoming) ? incoming.traceId : undefined;
  }

  current(): unknown {
    return trace.getActiveSpan()?.spanContext();
  }

  /** The span that it runs in, or the first that it is a part of; none, if it belongs to another trace. */
  private parentOf({ correlationId, partOf }: SpanStart): Context {
    if (partOf) {
      const [first] = partOf() as readonly (SpanContext | undefined)[];
      return first ? trace.setSpanContext(ROOT_CONTEXT, first) : ROOT_CONTEXT;
    }
    if (correlationId === undefined) return context.active();
    const active = trace.getActiveSpan()?.spanContext();
    const isOfIt = correlationId !== null && active?.traceId === traceIdOf(correlationId);
    return isOfIt ? context.active() : ROOT_CONTEXT;
  }

  private begin({ name, attributes, correlationId }: SpanStart, kind: SpanKind, parent: Context): Span {
    const correlated: Attributes = correlationId ? { 'batchwise.correlation_id': correlationId } : {};
    const options = { kind, attributes: { ...attributes, ...correlated } };
    const traceId = correlationId ? traceIdOf(correlationId) : undefined;
    return this.ids.during(traceId, () => this.tracer.startSpan(name, options, parent));
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : 'failed');

/** Calls `work`, and `end` as soon as it, or its promise, is through. */
function untilDone<T>(work: () => T, end: (error?: unknown) => void): T {
  try {
    const result = work();
    if (result instanceof Promise) result.then(() => end(), end);
    else end();
    return result;
  } catch (error) {
    end(error ?? 'failed');
    throw error;
  }
}

/** Sends spans, by the protocol of OpenTelemetry over HTTP, until it is stopped. */
export interface Tracing {
  /** Sends what was not sent yet, and ends. */
  stop(): Promise<void>;
}

/** @param endpoint of a collector: `http://127.0.0.1:4318`. How much is sampled, OTEL_TRACES_SAMPLER says. */
export function startTracing(endpoint: string): Tracing {
  const ids = new TraceIds();
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces` });
  const provider = new NodeTracerProvider({
    resource: defaultResource().merge(
      resourceFromAttributes({ 'service.name': process.env.OTEL_SERVICE_NAME || 'batchwise' }),
    ),
    idGenerator: ids,
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  provider.register();
  collectSpans(new OpenTelemetrySpans(provider.getTracer('batchwise'), ids));
  return {
    async stop() {
      collectSpans(undefined);
      await provider.shutdown();
      trace.disable();
      context.disable();
      propagation.disable();
    },
  };
}
