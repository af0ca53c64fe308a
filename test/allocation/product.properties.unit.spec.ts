import * as fc from 'fast-check';
import { DomainError } from '../../src/kernel/domain-error';
import { Allocated } from '../../src/allocation/contract/events';
import type { LineState } from '../../src/allocation/contract/order-lines';
import { commandsOver, line, type Commands } from '../support/allocation-commands';
import { AllocationModel, Refused } from '../support/allocation-model';
import { InMemoryProductUnitOfWork, type StoredEvent } from '../support/in-memory-product-unit-of-work';
import { Ledger } from '../support/ledger';

type Command = { [K in keyof Commands]: { name: K; args: Parameters<Commands[K]> } }[keyof Commands];
interface History {
  worksPerGroup: number;
  commands: Command[];
}

// Few names and small numbers, so that commands meet each other all the time.
const sku = fc.constantFrom('LAMP', 'SOFA');
const ref = fc.constantFrom('b1', 'b2', 'b3', 'b4', 'b5');
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
const orderOptions = fc.record({ ...treatment, mode: fc.constantFrom('all-or-nothing', 'partial') }, { requiredKeys: [] });
const change = fc.record({ qty: batchQty, eta }, { requiredKeys: [] });
const order = fc
  .tuple(orderId, fc.array(requested, { maxLength: 4 }), orderOptions)
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
  commands: fc.array(command, { minLength: 10, maxLength: 60, size: 'max' }).map((commands) => [...opening, ...commands]),
});

const answerOf = async (answer: () => unknown): Promise<unknown> => {
  try {
    return await answer();
  } catch (error) {
    if (error instanceof DomainError || error instanceof Refused) return { refused: error.code };
    throw error;
  }
};

const inOrder = <T extends LineState>(lines: readonly T[]): T[] =>
  [...lines].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

/** A unit of work, the commands over it, and a reader who follows its events. */
class Run {
  readonly unitOfWork: InMemoryProductUnitOfWork;
  readonly commands: Commands;
  readonly ledger = new Ledger();
  private read = 0;

  constructor(worksPerGroup: number) {
    this.unitOfWork = new InMemoryProductUnitOfWork(worksPerGroup);
    this.commands = commandsOver(this.unitOfWork);
  }

  async send({ name, args }: Command): Promise<unknown> {
    return answerOf(() => (this.commands[name] as (...args: unknown[]) => unknown)(...args));
  }

  /** The events since the last call; `look` sees each before it is applied to the ledger. */
  follow(look: (event: StoredEvent, ledger: Ledger) => void = () => undefined): StoredEvent[] {
    const news = this.unitOfWork.events.slice(this.read);
    this.read += news.length;
    for (const event of news) {
      look(event, this.ledger);
      this.ledger.apply(event);
    }
    return news;
  }

  async play(commands: readonly Command[]): Promise<this> {
    for (const command of commands) await this.send(command);
    this.follow();
    return this;
  }
}

const holds = (numRuns: number, property: (history: History) => Promise<void>) =>
  fc.assert(fc.asyncProperty(histories, property), { numRuns });

const skus = ['LAMP', 'SOFA'];

describe('Whatever the history of commands', () => {
  it('every answer and every standing is that of the rules', async () => {
    await holds(300, async ({ worksPerGroup, commands }) => {
      const run = new Run(worksPerGroup);
      const model = new AllocationModel();
      for (const command of commands) {
        const before = structuredClone([model.batches, model.lines]) as [typeof model.batches, typeof model.lines];
        const expected = await answerOf(() => (model[command.name] as (...args: unknown[]) => unknown)(...command.args));
        if (expected && typeof expected === 'object' && 'refused' in expected) [model.batches, model.lines] = before;
        const answer = await run.send(command);
        if (command.name === 'releaseOrder') {
          const { released, promised } = answer as Awaited<ReturnType<Commands['releaseOrder']>>;
          const wanted = expected as typeof answer & { released: LineState[]; promised: LineState[] };
          expect(inOrder(released)).toEqual(inOrder(wanted.released));
          expect(inOrder(promised)).toEqual(inOrder(wanted.promised));
        } else expect(answer).toMatchObject(expected as object);
        run.follow();
        const standing = (lines: Iterable<object>) =>
          new Set([...lines].map(({ at: _, since: __, ...line }: { at?: number; since?: number }) => line));
        expect(standing(run.ledger.lines.values())).toEqual(standing(model.lines));
        expect(new Set(run.ledger.batches.values())).toEqual(
          new Set(model.batches.map((batch) => ({ ...batch, promised: model.promised(batch) }))),
        );
      }
    });
  });
});
