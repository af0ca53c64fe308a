import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { DomainError } from '../../src/kernel/domain-error';
import type {
  Allocation,
  BatchChange,
  BatchCreation,
  OrderAllocation,
  Release,
} from '../../src/allocation/contract/commands';
import { Allocated, Backordered, Deallocated, OutOfStock } from '../../src/allocation/contract/events';
import type { RequestedLine } from '../../src/allocation/contract/order-lines';
import { commandsOver, line, type Commands } from '../support/allocation-commands';
import { AllocationModel, Refused } from '../support/allocation-model';
import { InMemoryProductUnitOfWork, type StoredEvent } from '../support/in-memory-product-unit-of-work';
import { Ledger, type LedgerLine } from '../support/ledger';
import { runs } from '../support/runs';

type Command = { [K in keyof Commands]: { name: K; args: Parameters<Commands[K]> } }[keyof Commands];
interface History {
  worksPerGroup: number;
  commands: Command[];
}

// Few names and small numbers, so that commands meet each other all the time.
const sku = fc.constantFrom('LAMP', 'LAMP', 'LAMP', 'SOFA');
const ref = fc.constantFrom('b1', 'b2', 'b3', 'b4');
const orderId = fc.constantFrom('o1', 'o2', 'o3', 'o4', 'o5');
const eta = fc.constantFrom(null, '2031-01-01', '2031-01-02', '2031-01-03');
const batchQty = fc.nat(12);
const lineQty = fc.integer({ min: 1, max: 6 });
const requested = fc.tuple(orderId, sku, lineQty, fc.constantFrom('1', '2')).map((args) => line(...args));
const treatment = {
  whenOutOfStock: fc.constantFrom('refuse' as const, 'backorder' as const, 'backorder' as const),
  priority: fc.integer({ min: -1, max: 1 }),
};
const options = fc.record(treatment, { requiredKeys: [] });
const orderOptions = fc.record(
  { ...treatment, mode: fc.constantFrom('all-or-nothing', 'partial') },
  { requiredKeys: [] },
);
const change = fc.record({ qty: batchQty, eta }, { requiredKeys: [] });
const order = fc
  .tuple(
    orderId,
    fc.uniqueArray(requested, { maxLength: 4, selector: (line) => `${line.sku}/${line.lineId}` }),
    orderOptions,
  )
  .map(([orderId, lines, options]) => [orderId, lines.map((line) => ({ ...line, orderId })), options] as const);

const named = <K extends Command['name']>(name: K, args: fc.Arbitrary<readonly unknown[]>) =>
  args.map((args) => ({ name, args }) as unknown as Command);

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 3, arbitrary: named('createBatch', fc.tuple(ref, sku, batchQty, eta)) },
  { weight: 4, arbitrary: named('changeBatch', fc.tuple(ref, change)) },
  { weight: 1, arbitrary: named('cancelBatch', fc.tuple(ref)) },
  { weight: 8, arbitrary: named('allocate', fc.tuple(requested, options)) },
  { weight: 2, arbitrary: named('allocateOrder', order) },
  { weight: 2, arbitrary: named('amendLine', fc.tuple(requested, lineQty)) },
  { weight: 2, arbitrary: named('releaseLine', fc.tuple(requested)) },
  { weight: 1, arbitrary: named('releaseOrder', fc.tuple(orderId)) },
);

const opening: Command[] = [
  { name: 'createBatch', args: ['b1', 'LAMP', 10, null] },
  { name: 'createBatch', args: ['b2', 'LAMP', 6, '2031-01-02'] },
];

const histories: fc.Arbitrary<History> = fc.record({
  worksPerGroup: fc.constantFrom(1, 1, 3, Infinity),
  commands: fc
    .array(command, { minLength: 1, maxLength: 40, size: 'max' })
    .map((commands) => [...opening, ...commands]),
});

const answerOf = async (answer: () => unknown): Promise<unknown> => {
  try {
    return await answer();
  } catch (error) {
    if (error instanceof DomainError || error instanceof Refused) return { refused: error.code };
    throw error;
  }
};

const isRefused = (answer: unknown): boolean => typeof answer === 'object' && answer !== null && 'refused' in answer;

/** Comparable whatever the order in which things are held. */
const sorted = (things: Iterable<object>): string[] =>
  [...things].map((thing) => JSON.stringify(Object.entries(thing).sort())).sort();

/** Like `expect`, which is too slow to be asked a hundred thousand times. */
const same = (actual: unknown, expected: unknown): void => {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toEqual(expected);
};

/** A unit of work, the commands over it, and a reader who follows its events. */
class Run {
  readonly unitOfWork: InMemoryProductUnitOfWork;
  readonly commands: Commands;
  readonly ledger = new Ledger();
  private read = 0;

  constructor({ worksPerGroup }: Pick<History, 'worksPerGroup'>) {
    this.unitOfWork = new InMemoryProductUnitOfWork(worksPerGroup);
    this.commands = commandsOver(this.unitOfWork);
  }

  send({ name, args }: Command): Promise<unknown> {
    return answerOf(() => (this.commands[name] as (...args: unknown[]) => unknown)(...args));
  }

  /** The events since the last time; `look` sees each with what was known before it. */
  follow(look: (event: StoredEvent, ledger: Ledger) => void = () => undefined): StoredEvent[] {
    const news = this.unitOfWork.events.slice(this.read);
    this.read += news.length;
    for (const event of news) {
      look(event, this.ledger);
      this.ledger.apply(event);
    }
    return news;
  }

  async play(commands: readonly Command[]): Promise<void> {
    for (const command of commands) await this.send(command);
    this.follow();
  }

  /** Lines and batches as a reader of the events knows them, without the versions at which that came about. */
  standing(): { lines: string[]; batches: string[] } {
    const lines = [...this.ledger.lines.values()].map(({ since: _, ...line }) => line);
    return { lines: sorted(lines), batches: sorted(this.ledger.batches.values()) };
  }
}

/** Plays a history and looks after every command. */
const after = (cases: number, everyCommand: (run: Run, events: StoredEvent[], command: Command) => unknown) =>
  fc.assert(
    fc.asyncProperty(histories, async (history) => {
      const run = new Run(history);
      for (const command of history.commands) {
        await run.send(command);
        await everyCommand(run, run.follow(), command);
      }
    }),
    { numRuns: runs(cases) },
  );

/** Plays a history and looks at each of its events together with what was known before it. */
const atEvery = (cases: number, event: (event: StoredEvent, ledger: Ledger) => void) =>
  fc.assert(
    fc.asyncProperty(histories, async (history) => {
      const run = new Run(history);
      for (const command of history.commands) await run.send(command);
      run.follow(event);
    }),
    { numRuns: runs(cases) },
  );

describe('Whatever the history of commands', () => {
  it('every answer and every standing is that of the rules', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (history) => {
        const run = new Run(history);
        const model = new AllocationModel();
        for (const command of history.commands) {
          const before = structuredClone({ batches: model.batches, lines: model.lines });
          const method = model[command.name] as (...args: unknown[]) => object;
          const expected = await answerOf(() => method.apply(model, command.args));
          if (isRefused(expected)) Object.assign(model, before);
          const answer = await run.send(command);
          same(comparable(command, answer), comparable(command, expected));
          run.follow();
          const lines = model.lines.map(({ at: _, ...line }) => line);
          const batches = model.batches.map((batch) => ({ ...batch, promised: model.promised(batch) }));
          same(run.standing(), { lines: sorted(lines), batches: sorted(batches) });
        }
      }),
      { numRuns: runs(250) },
    );
  });

  it('no batch promises more than it holds, and what it promises is the sum of its lines', async () => {
    await after(50, ({ ledger, unitOfWork }) => {
      const { batches, lines } = unitOfWork.rows();
      for (const { ref, purchased, promised, available, cancelled } of batches) {
        const sum = lines.filter((line) => line.batchRef === ref).reduce((sum, { qty }) => sum + qty, 0);
        same({ ref, promised, inEvents: ledger.batches.get(ref)?.promised }, { ref, promised: sum, inEvents: sum });
        same({ ref, available }, { ref, available: cancelled ? 0 : purchased - sum });
        if (sum < 0 || sum > (cancelled ? 0 : purchased)) throw new Error(`${ref} promises ${sum} of ${purchased}`);
      }
    });
  });

  it('a line is promised before it gives a promise back, and never from two batches', async () => {
    await atEvery(50, ({ event }, ledger) => {
      if (event instanceof Allocated) expect(ledger.line(event.data)?.status).not.toBe('promised');
      if (event instanceof Deallocated) {
        expect(ledger.line(event.data)).toMatchObject({ batchRef: event.data.batchRef, qty: event.data.qty });
        expect(ledger.line(event.data)?.status).not.toBe('refused');
      }
    });
  });

  it('the versions of a stream are 1, 2, 3 and so on', async () => {
    await atEvery(40, ({ stream, version }, ledger) => {
      expect(version).toBe((ledger.versions.get(stream) ?? 0) + 1);
    });
  });

  it('the fold of the events is exactly what is stored', async () => {
    await after(40, ({ ledger, unitOfWork }, events) => {
      if (events.length === 0) return;
      const { batches, lines } = unitOfWork.rows();
      same(sorted(lines), sorted(ledger.lines.values()));
      same(sorted(batches.map(({ available: _, ...batch }) => batch)), sorted(ledger.batches.values()));
    });
  });

  it('a promise is made from the best batch that can take the line', async () => {
    await atEvery(50, ({ event }, ledger) => {
      if (event instanceof Allocated) expect(event.data.batchRef).toBe(ledger.candidates(event.data)[0]?.ref);
    });
  });

  it('a line is refused or waits only if nothing fits or what fits is kept for those who wait', async () => {
    await atEvery(50, ({ event }, ledger) => {
      if (!(event instanceof OutOfStock) && !(event instanceof Backordered && event.data.reason === 'out-of-stock'))
        return;
      const [first] = ledger.queue(event.data.sku);
      const kept = first !== undefined && first.priority >= event.data.priority;
      expect(kept || ledger.candidates(event.data).length === 0).toBe(true);
    });
  });

  it('nobody in the queue is overtaken', async () => {
    await atEvery(60, ({ event }, ledger) => {
      if (!(event instanceof Allocated)) return;
      const { orderId, lineId, priority, reason } = event.data;
      const [first] = ledger.queue(event.data.sku);
      if (reason === 'backorder-served') expect(first).toMatchObject({ orderId, lineId });
      if (reason === 'requested' && first) expect(priority).toBeGreaterThan(first.priority);
    });
  });

  it('nothing fits the head of the queue after a command', async () => {
    await after(60, ({ ledger }) => {
      for (const sku of ['LAMP', 'SOFA']) {
        const [first] = ledger.queue(sku);
        if (first) expect(ledger.candidates(first)).toEqual([]);
      }
    });
  });

  it('sending any command again changes nothing and gets the same answer', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (history) => {
        const run = new Run(history);
        for (const command of history.commands) {
          const first = await run.send(command);
          run.follow();
          const again = await run.send(command);
          same(run.follow(), []);
          same(again, asRepeated(command, first));
        }
      }),
      { numRuns: runs(50) },
    );
  });

  it('releasing a new line undoes its allocation', async () => {
    await fc.assert(
      fc.asyncProperty(histories, lineQty, options, async (history, qty, treatment) => {
        const run = new Run(history);
        await run.play(history.commands);
        const before = run.standing();
        const { status } = await run.commands.allocate(line('new', 'LAMP', qty), treatment);
        fc.pre(status !== 'refused');
        await run.commands.releaseLine(line('new', 'LAMP', qty));
        run.follow();
        expect(run.standing()).toEqual(before);
      }),
      { numRuns: runs(40) },
    );
  });

  it('a batch that shrinks and grows again loses no line', async () => {
    await fc.assert(
      fc.asyncProperty(histories, batchQty, async (history, less) => {
        const run = new Run(history);
        await run.play(history.commands);
        const batch = run.ledger.batches.get('b1')!;
        fc.pre(!batch.cancelled && less < batch.promised);
        const standing = ({ status }: LedgerLine): boolean => status !== 'refused';
        const before = [...run.ledger.lines.values()].filter(standing);
        const nobodyWaited = run.ledger.queue(batch.sku).length === 0;
        const { purchased } = batch;

        const { shortfall } = await run.commands.changeBatch('b1', { qty: less });
        const { promised } = await run.commands.changeBatch('b1', { qty: purchased });
        run.follow();

        const now = [...run.ledger.lines.values()].filter(standing);
        expect(sorted(now.map(identity))).toEqual(sorted(before.map(identity)));
        if (nobodyWaited) {
          expect(run.ledger.queue(batch.sku)).toEqual([]);
          expect(sorted(promised.map(identity))).toEqual(sorted(shortfall.map(identity)));
        }
      }),
      { numRuns: runs(40) },
    );
  });
});

/** An answer without what the rules leave open: the sentences, and in which order the SKUs of an order are released. */
const comparable = ({ name }: Command, answer: unknown): unknown => {
  if (isRefused(answer)) return answer;
  if (name === 'releaseOrder') {
    const { released, promised } = answer as Release;
    return { released: sorted(released), promised: sorted(promised) };
  }
  if (name !== 'allocateOrder') return answer;
  const { failed, ...order } = answer as OrderAllocation;
  return { ...order, failed: failed.map(({ message: _, ...line }) => line) };
};

const identity = ({ orderId, lineId, sku, qty }: RequestedLine) => ({ orderId, lineId, sku, qty });

/** What the second of two equal commands is answered: the same, as something that stood like this before. */
const asRepeated = ({ name }: Command, answer: unknown): unknown => {
  if (isRefused(answer)) return answer;
  const nothingMoved = { released: [], promised: [] };
  switch (name) {
    case 'createBatch':
      return { ...(answer as BatchCreation), created: false, promised: [] };
    case 'changeBatch':
    case 'cancelBatch':
      return { batch: (answer as BatchChange).batch, ...nothingMoved, reallocated: [], shortfall: [] };
    case 'allocate':
    case 'amendLine':
      return { ...(answer as Allocation), repeated: true };
    case 'allocateOrder': {
      const order = answer as OrderAllocation;
      return { ...order, lines: order.lines.map((line) => ({ ...line, repeated: true })) };
    }
    case 'releaseLine':
    case 'releaseOrder':
      return nothingMoved;
  }
};
