import { Ledger } from '../support/audit';
import { ByHand, type Line, openUnitOfWork } from '../support/by-hand';
import type { Figure } from '../support/figure';
import { allocateFor, newLine } from '../support/orders';
import { inPairs } from '../support/pairs';
import { hot } from '../support/profiles';
import { seed } from '../support/seed';

const waiting = 512;
const sku = 'sku-0';

/** What the unit of work and the domain cost beside the statements that they send. */
export const unitOfWorkToStatements: Figure = {
  id: 'P5',
  what: 'unit of work without HTTP, one hot SKU, 512 waiting, to the same statements by hand',
  target: 0.7,
  better: 'higher',
  async measure(context) {
    const [database, byHands] = [await context.freshDatabase(), await context.freshDatabase()];
    await Promise.all([seed(database, hot), seed(byHands, hot)]);
    const [ledger, handLedger] = [new Ledger(), new Ledger()];
    const seconds = context.quick ? 0.5 : 3;
    const newLines = (): Line[] => Array.from({ length: waiting }, () => newLine(sku));
    const byHand = await ByHand.connect(byHands, sku, newLines());
    handLedger.add({ acknowledged: waiting, unanswered: 0 });
    const { unitOfWork, close } = await openUnitOfWork(database);
    const send = async (): Promise<number> => {
      const start = performance.now();
      let acknowledged = 0;
      for (; performance.now() < start + seconds * 1000; acknowledged += waiting) {
        await byHand.allocate(newLines());
      }
      handLedger.add({ acknowledged, unanswered: 0 });
      return (acknowledged * 1000) / (performance.now() - start);
    };
    try {
      return await inPairs(
        context,
        '/s',
        {
          name: 'the unit of work',
          measure: async () => ledger.add(await allocateFor(seconds, waiting, sku, unitOfWork)).perSecond,
        },
        { name: 'by hand', measure: send },
      );
    } finally {
      await Promise.all([byHand.close(), close()]);
      await ledger.audit(database);
      await handLedger.audit(byHands);
    }
  },
};
