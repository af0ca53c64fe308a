import { Ledger } from '../support/audit';
import { openUnitOfWork } from '../support/by-hand';
import type { Figure } from '../support/figure';
import { allocateFor } from '../support/orders';
import { inPairs } from '../support/pairs';
import { hot } from '../support/profiles';
import { seed } from '../support/seed';

const waiting = 512;

/** What grouping is worth: allocations of one hot SKU, without HTTP, 512 of them waiting at any time. */
export const grouping: Figure = {
  id: 'grouping',
  what: 'one hot SKU without HTTP, 512 waiting: grouped, to GROUP_MAX=1',
  target: 10,
  better: 'higher',
  async measure(context) {
    const database = await context.freshDatabase();
    await seed(database, hot);
    const ledger = new Ledger();
    const seconds = context.quick ? 0.3 : 2;
    const side = async (name: string, groupMax: number) => {
      const { unitOfWork, close } = await openUnitOfWork(database, { groupMax });
      const measure = async (): Promise<number> =>
        ledger.add(await allocateFor(seconds, waiting, 'sku-0', unitOfWork)).perSecond;
      return { name, measure, close };
    };
    const [grouped, single] = [await side('grouped', 512), await side('one by one', 1)];
    try {
      return await inPairs(context, '/s', grouped, single);
    } finally {
      await Promise.all([grouped.close(), single.close()]);
      await ledger.audit(database);
    }
  },
};
