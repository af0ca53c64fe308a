import { Ledger } from '../support/audit';
import { openUnitOfWork } from '../support/by-hand';
import type { Figure } from '../support/figure';
import { allocateFor } from '../support/orders';
import { inPairs } from '../support/pairs';
import { hot } from '../support/profiles';
import { seed } from '../support/seed';

/** Whether an allocation gets dearer with the number of those that were made before. */
export const pastAllocations: Figure = {
  id: 'P6',
  what: 'cost per allocation, 64 waiting: SKU with 1,000,000 past allocations, to one with none',
  target: 1.1,
  better: 'lower',
  async measure(context) {
    const past = context.quick ? 20_000 : 1_000_000;
    const [old, fresh] = [await context.freshDatabase(), await context.freshDatabase()];
    context.note(`seeding ${past} past allocations`);
    await seed(old, { ...hot, past });
    await seed(fresh, hot);
    const [oldUnit, freshUnit] = [await openUnitOfWork(old), await openUnitOfWork(fresh)];
    const [oldLedger, freshLedger] = [new Ledger(), new Ledger()];
    const seconds = context.quick ? 0.5 : 3;
    const cost = async ({ unitOfWork }: typeof oldUnit, ledger: Ledger): Promise<number> =>
      1_000_000 / ledger.add(await allocateFor(seconds, 64, 'sku-0', unitOfWork)).perSecond;
    try {
      return await inPairs(
        context,
        'µs',
        { name: `after ${past}`, measure: () => cost(oldUnit, oldLedger) },
        { name: 'after none', measure: () => cost(freshUnit, freshLedger) },
      );
    } finally {
      await Promise.all([oldUnit.close(), freshUnit.close()]);
      await oldLedger.audit(old, past);
      await freshLedger.audit(fresh);
    }
  },
};
