import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { Gauge, Registry } from 'prom-client';
import { Config } from '../config';
import { toCloudEvent } from '../event-log/cloud-event';
import type { Position, StoredEvent } from '../event-log/stored-event';
import { HttpError } from '../http/problem';
import { Worker } from '../workers';
import { cursorOf } from './event-cursor';
import { EventFeed } from './event-feed';

/** Bytes that are read ahead of a client. */
const ahead = 64 * 1024;

/** As many clients follow the events as may, or the service is about to stop. */
export class TooManyStreams extends HttpError {
  constructor() {
    super(503, 'too-many-streams', 'No further client can follow the events here now. Try again.');
  }
}

/** Events as they happen, as server-sent events: `id` is a cursor, `event` the type, `data` the CloudEvent. */
@Injectable()
export class EventStreams extends Worker {
  /** Milliseconds of silence after which a stream shows that it lives; within which a client must take a page of events. */
  heartbeatEvery = 15_000;
  patience = 30_000;
  /** Milliseconds in which a client must take what it still gets when the service stops. */
  farewell = 1_000;
  readonly #open = new Map<ServerResponse, AbortController>();
  #isStopping = false;

  constructor(
    private readonly feed: EventFeed,
    private readonly config: Config,
    registry: Registry,
  ) {
    super();
    const open = this.#open;
    new Gauge({
      name: 'batchwise_event_streams',
      help: 'Clients that follow the events.',
      registers: [registry],
      collect() {
        this.set(open.size);
      },
    });
  }

  start(): void {
    // There is nothing to do before somebody asks.
  }

  /** Lets clients go, who will go on elsewhere where they were. */
  stop(): Promise<void> {
    this.#isStopping = true;
    for (const [response, ending] of this.#open) {
      ending.abort();
      setTimeout(() => response.destroy(), this.farewell).unref();
    }
    return Promise.resolve();
  }

  /**
   * What is to be sent from a place on, until the client leaves or the service stops.
   * @param response is cut off when the client does not take what it is sent
   * @throws TooManyStreams
   */
  open(at: Position, types: readonly string[] | undefined, response: ServerResponse): Readable {
    if (this.#isStopping || this.#open.size >= this.config.eventStreamsMax) throw new TooManyStreams();
    const ending = new AbortController();
    if (response.destroyed) ending.abort();
    else this.#open.set(response, ending);
    response.once('close', () => {
      this.#open.delete(response);
      ending.abort();
    });
    const sent = this.#unlessTooSlow(this.#frames(at, types, ending.signal), response);
    return Readable.from(sent, { objectMode: false, highWaterMark: ahead });
  }

  async *#frames(
    at: Position,
    types: readonly string[] | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<string, void, void> {
    yield 'retry: 1000\n\n';
    let sentAt = performance.now();
    /** The last event that the client was not told of, as it is of another type. */
    let passed: StoredEvent | undefined;
    for await (const { events, last } of this.feed.follow(at, types, signal)) {
      passed = last ?? passed;
      const isSilent = performance.now() - sentAt >= this.heartbeatEvery;
      if (events.length === 0 && !isSilent) continue;
      yield events.length > 0 ? events.map(frameOf).join('') : heartbeat(passed);
      if (events.length === 0 || events.at(-1) === passed) passed = undefined;
      sentAt = performance.now();
    }
  }

  /** Whoever has not taken a frame in time, does not live or cannot keep up. */
  async *#unlessTooSlow(frames: AsyncIterable<string>, response: ServerResponse): AsyncGenerator<string, void, void> {
    for await (const frame of frames) {
      const end = setTimeout(() => response.destroy(), this.patience).unref();
      try {
        yield frame;
      } finally {
        clearTimeout(end);
      }
    }
  }
}

const frameOf = (event: StoredEvent): string =>
  `id: ${cursorOf(event)}\nevent: ${event.type}\ndata: ${JSON.stringify(toCloudEvent(event))}\n\n`;

/** An id without data is no event, but the client begins behind it when it comes again. */
const heartbeat = (passed: StoredEvent | undefined): string => (passed ? `id: ${cursorOf(passed)}\n\n` : ':\n\n');
