import { Logger } from '@nestjs/common';
import { Allocate, type Allocation } from '../../src/allocation/contract/commands';
import { allocateLines, type LineResult, textOf } from '../../src/allocation/http/allocate-lines';
import { DomainError } from '../../src/kernel/domain-error';
import { OutcomeUnknown, Overloaded } from '../../src/kernel/unit-of-work';
import { HttpError } from '../../src/platform/http/problem';

const course = { width: 10, id: 'run-1' };
const written = (orderId: string, more: object = {}): string =>
  JSON.stringify({ orderId, sku: 'TABLE', qty: 1, ...more });

/** The line as it stands once it is promised. */
const promised = ({ line, options }: Allocate): Allocation => ({
  ...line,
  lineId: line.lineId ?? '1',
  ...{ status: 'promised', batchRef: 'b1', eta: null, priority: options.priority ?? 0, repeated: false },
});

async function* input(...pieces: readonly (string | Buffer | Error)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    if (piece instanceof Error) throw piece;
    yield await Promise.resolve(Buffer.from(piece));
  }
}

async function resultsOf(
  bytes: AsyncIterable<Uint8Array>,
  allocate: (command: Allocate) => Promise<Allocation> = (command) => Promise.resolve(promised(command)),
): Promise<LineResult[]> {
  const results: LineResult[] = [];
  for await (const some of allocateLines(bytes, allocate, course)) results.push(...some);
  return results;
}

/** Line, status, and code of the problem. */
const summary = (results: readonly LineResult[]) =>
  results.map(({ line, status, problem }) => [line, status, ...(problem ? [problem.code] : [])]);

describe('Lines of NDJSON', () => {
  beforeAll(() => Logger.overrideLogger(false));

  it('become commands, and their answers results, one for each line that is not blank', async () => {
    const commands: Allocate[] = [];
    const results = await resultsOf(
      input(`${written('o1')}\n\n  \n${written('o2', { lineId: '2', priority: 3, whenOutOfStock: 'backorder' })}\r\n`),
      (command) => {
        commands.push(command);
        return Promise.resolve(promised(command));
      },
    );
    expect(commands).toEqual([
      new Allocate({ orderId: 'o1', lineId: '1', sku: 'TABLE', qty: 1 }, {}),
      new Allocate({ orderId: 'o2', lineId: '2', sku: 'TABLE', qty: 1 }, { priority: 3, whenOutOfStock: 'backorder' }),
    ]);
    expect(textOf(results)).toBe(
      `${JSON.stringify({ line: 1, status: 201, allocation: promised(commands[0]!) })}\n` +
        `${JSON.stringify({ line: 4, status: 201, allocation: promised(commands[1]!) })}\n`,
    );
  });

  it('tell by their status what became of the order line', async () => {
    const states: Record<string, Partial<Allocation>> = {
      again: { repeated: true },
      waits: { status: 'backordered', batchRef: null },
      none: { status: 'refused', batchRef: null },
    };
    const results = await resultsOf(
      input(['new', 'again', 'waits', 'none'].map((id) => written(id)).join('\n')),
      (command) => Promise.resolve({ ...promised(command), ...states[command.line.orderId] }),
    );
    expect(summary(results)).toEqual([
      [1, 201],
      [2, 200],
      [3, 202],
      [4, 409, 'out-of-stock'],
    ]);
    expect(results[3]!.problem).toMatchObject({
      detail: 'Out of stock for TABLE.',
      instance: 'urn:batchwise:request:run-1',
      line: { orderId: 'none', status: 'refused' },
    });
  });

  it.each<[string, string | Buffer, number, string]>([
    ['is no JSON', 'order 1', 400, 'malformed-json'],
    ['breaks off', '{"orderId":"o1","sku', 400, 'malformed-json'],
    ['is two objects', `${written('o1')}${written('o2')}`, 400, 'malformed-json'],
    ['is not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 400, 'malformed-json'],
    ['has the key __proto__', '{"__proto__":{"orderId":"x"}}', 400, 'malformed-json'],
    ['is null', 'null', 400, 'invalid-request'],
    ['is an array', `[${written('o1')}]`, 400, 'invalid-request'],
    ['is a text', '"o1"', 400, 'invalid-request'],
    ['lacks everything', '{}', 400, 'invalid-request'],
    ['has an unknown property', written('o1', { admin: true }), 400, 'invalid-request'],
    ['has a quantity of 0', written('o1', { qty: 0 }), 400, 'invalid-request'],
    ['has a quantity that is a text', written('o1', { qty: '5' }), 400, 'invalid-request'],
    ['has a quantity that is too large', '{"orderId":"o1","sku":"TABLE","qty":1e400}', 400, 'invalid-request'],
    ['has a lone surrogate', '{"orderId":"\\ud800","sku":"TABLE","qty":1}', 400, 'invalid-request'],
    ['is too long', written('x'.repeat(70_000)), 413, 'body-too-large'],
  ])('are a problem if one %s, and the others go on', async (_, bad, status, code) => {
    const bytes = Buffer.concat([
      Buffer.from(`${written('o1')}\n`),
      Buffer.from(bad),
      Buffer.from(`\n${written('o3')}\n`),
    ]);
    for (const size of [7, 100_000]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (__, place) =>
        bytes.subarray(place * size, (place + 1) * size),
      );
      expect(summary(await resultsOf(input(...pieces)))).toEqual([
        [1, 201],
        [2, status, code],
        [3, 201],
      ]);
    }
  });

  it('may begin with a byte order mark', async () => {
    expect(summary(await resultsOf(input(`\ufeff${written('o1')}\n\ufeff${written('o2')}`)))).toEqual([
      [1, 201],
      [2, 400, 'malformed-json'],
    ]);
  });

  it('are sent again when the service is past its capacity, and then only', async () => {
    const tries = new Map<string, number>();
    const refusals: Record<string, () => Error> = {
      busy: () => new Overloaded(),
      doubt: () => new OutcomeUnknown(),
      unknown: () => new DomainError('unknown-sku', 'not-found', 'Invalid sku TABLE', { sku: 'TABLE' }),
    };
    const results = await resultsOf(
      input(['busy', 'doubt', 'unknown'].map((id) => written(id)).join('\n')),
      (command) => {
        const { orderId } = command.line;
        const attempt = (tries.get(orderId) ?? 0) + 1;
        tries.set(orderId, attempt);
        return attempt < 3 ? Promise.reject(refusals[orderId]!()) : Promise.resolve(promised(command));
      },
    );
    expect(summary(results)).toEqual([
      [1, 201],
      [2, 503, 'outcome-unknown'],
      [3, 404, 'unknown-sku'],
    ]);
    expect(Object.fromEntries(tries)).toEqual({ busy: 3, doubt: 1, unknown: 1 });
  });

  it('tell nothing of a failure but that it happened', async () => {
    const [failed, next] = await resultsOf(input(`${written('o1')}\n${written('o2')}\n`), (command) =>
      command.line.orderId === 'o1' ? Promise.reject(new Error('secret')) : Promise.resolve(promised(command)),
    );
    expect(failed).toMatchObject({ line: 1, status: 500, problem: { code: 'internal' } });
    expect(JSON.stringify(failed)).not.toContain('secret');
    expect(next).toMatchObject({ line: 2, status: 201 });
  });

  it('end with a result that tells why no more were read', async () => {
    const stopping = new HttpError(503, 'stopping', 'The service stops.');
    const results = await resultsOf(input(`${written('o1')}\n${written('o2')}\n{"orderId"`, stopping));
    expect(summary(results)).toEqual([
      [1, 201],
      [2, 201],
      [3, 503, 'stopping'],
    ]);
  });

  it('are all answered before an input that breaks off is thrown', async () => {
    const results: LineResult[] = [];
    const all = (async () => {
      const broken = input(`${written('o1')}\n{"orderId"`, new Error('aborted'));
      for await (const some of allocateLines(broken, (command) => Promise.resolve(promised(command)), course))
        results.push(...some);
    })();
    await expect(all).rejects.toThrow('aborted');
    expect(summary(results)).toEqual([[1, 201]]);
  });
});
