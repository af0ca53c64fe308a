/** What a span says about itself. */
export type Attributes = Readonly<Record<string, string | number>>;

/** What is known of a span when it begins. */
export interface SpanStart {
  readonly name: string;
  readonly attributes?: Attributes;
  /** It belongs to the trace of what one request led to, wherever that was, and however long ago. */
  readonly correlationId?: string | null | undefined;
  /** It is a part of these, as {@link currentSpan} named them: a child of the first, linked to the others. Asked again at its end. */
  readonly partOf?: () => readonly unknown[];
}

/** A request of HTTP, while it is answered. */
export interface RequestSpan extends SpanStart {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Calls back when it is over, with what is known then. */
  readonly over: (end: (attributes: Attributes, failed: boolean) => void) => void;
}

/** Whoever collects spans. */
export interface Spans {
  during<T>(start: SpanStart, work: () => T): T;
  duringRequest(start: RequestSpan, work: () => void): void;
  /** The trace that a request says that it belongs to. */
  traceOf(headers: RequestSpan['headers']): string | undefined;
  current(): unknown;
}

let spans: Spans | undefined;

/** From now on spans are collected; undefined: no longer. */
export const collectSpans = (collector: Spans | undefined): void => void (spans = collector);

/** Whether anybody collects spans. */
export const isTraced = (): boolean => spans !== undefined;

/**
 * Runs `work` in a span, a child of the one that it is called in, which ends with what `work` returns, or with its promise.
 * Where nobody collects spans it only calls `work`.
 */
export const inSpan = <T>(start: () => SpanStart, work: () => T): T => (spans ? spans.during(start(), work) : work());

/** Runs `work` in the span of a request. */
export const inRequestSpan = (start: () => RequestSpan, work: () => void): void =>
  spans ? spans.duringRequest(start(), work) : work();

/** The id of the trace that a request names by its `traceparent`, if spans are collected. */
export const traceOf = (headers: RequestSpan['headers']): string | undefined => spans?.traceOf(headers);

/** The span that the calling code runs in, to be named later. */
export const currentSpan = (): unknown => spans?.current();
