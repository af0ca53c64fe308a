import { PassThrough, type Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { streamAnswer } from '../../src/platform/http/streamed-answer';
import { isStreamed, streamedBody } from '../../src/platform/http/streamed-body';

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1)
    await new Promise(jest.requireActual<typeof import('node:timers')>('node:timers').setImmediate);
};

describe('A body that is read while it arrives', () => {
  const body = new PassThrough();
  const socket = {};
  const request = {
    routeOptions: { config: { streams: 'text/csv' } },
    headers: { 'content-type': 'text/csv; charset=utf-8' },
    body,
    raw: { socket },
  } as unknown as FastifyRequest;

  beforeEach(() => jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick'] }));
  afterEach(() => jest.useRealTimers());

  it('may take as long as it goes on, and ends when nothing has come for 30 seconds', async () => {
    const pieces = streamedBody(request);
    for (let seconds = 0; seconds < 100; seconds += 25) {
      const piece = pieces.next();
      await turns();
      jest.advanceTimersByTime(25_000);
      body.write('a');
      expect(await piece).toMatchObject({ done: false, value: Buffer.from('a') });
      expect(isStreamed(socket as never)).toBe(true);
      jest.advanceTimersByTime(100_000); // Nobody waits for the client meanwhile.
    }
    const late = pieces.next();
    await turns();
    jest.advanceTimersByTime(30_000);
    await expect(late).rejects.toMatchObject({ status: 408, code: 'request-timeout' });
    expect(isStreamed(socket as never)).toBe(false);
    expect(body.destroyed).toBe(false);
    jest.advanceTimersByTime(30_000);
    expect(body.destroyed).toBe(true);
  });
});

describe('An answer that is made while it is sent', () => {
  beforeEach(() => jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick'] }));
  afterEach(() => jest.useRealTimers());

  it('is asked for as it is taken, and cut off when nothing is taken for 30 seconds', async () => {
    let asked = 0;
    const cutOff = jest.fn();
    const sent = { stream: undefined as Readable | undefined };
    const reply = {
      raw: { destroy: cutOff },
      type: () => reply,
      send: (stream: Readable) => void (sent.stream = stream),
    };
    const texts = (async function* () {
      for (;;) yield await Promise.resolve(`${(asked += 1)}`.padEnd(40_000));
    })();
    streamAnswer(reply as unknown as FastifyReply, 'text/plain', texts);
    for (let reads = 0; reads < 5; reads += 1) {
      sent.stream!.read();
      await turns();
      jest.advanceTimersByTime(20_000);
    }
    expect(cutOff).not.toHaveBeenCalled();
    expect(asked).toBeLessThan(5 * 4);
    jest.advanceTimersByTime(10_000);
    expect(cutOff).toHaveBeenCalledTimes(1);
    sent.stream!.destroy();
  });
});
