import { Ledger } from '../support/audit';
import type { Comparison } from '../support/comparison';
import { type Drive, drive } from '../support/drive';
import type { Context } from '../support/figure';
import { hot, type Profile, profiles } from '../support/profiles';
import { seed } from '../support/seed';
import { type OpenWay, type Way, ways } from '../support/ways';

/** The four ways side by side, for every load. */
export const waysSideBySide: Comparison = {
  id: 'ways',
  what: 'four ways of allocating on the same tables, 64 waiting, without HTTP, for four loads',
  async measure(context) {
    const rows: Record<string, string | number>[] = [];
    for (const [name, profile] of Object.entries(profiles)) {
      for (const way of ways) {
        const measured = await withWay(context, way, profile, (open, draws) =>
          drive(open, draws, 64, context.quick ? 0.5 : 4),
        );
        rows.push({ load: name, way: way.name, ...columnsOf(measured) });
        context.note(Object.values(rows.at(-1)!).join('  '));
      }
    }
    return rows;
  },
};

/** How they take it when more requests wait. */
export const waysByConcurrency: Comparison = {
  id: 'concurrency',
  what: 'four ways of allocating one hot SKU, by the number of waiting requests, without HTTP',
  async measure(context) {
    const rows: Record<string, string | number>[] = [];
    for (const way of ways) {
      await withWay(context, way, hot, async (open, draws) => {
        const total = { acknowledged: 0, unanswered: 0 };
        for (const waiting of [1, 4, 16, 64, 256, 512]) {
          const measured = await drive(open, draws, waiting, context.quick ? 0.5 : 3);
          rows.push({ way: way.name, waiting, ...columnsOf(measured) });
          context.note(Object.values(rows.at(-1)!).join('  '));
          total.acknowledged += measured.acknowledged;
        }
        return total;
      });
    }
    return rows;
  },
};

async function withWay<T extends { acknowledged: number; unanswered: number }>(
  context: Context,
  way: Way,
  profile: Profile,
  use: (open: OpenWay, draws: readonly string[]) => Promise<T>,
): Promise<T> {
  const database = await context.freshDatabase();
  await seed(database, profile);
  const ledger = new Ledger();
  const open = await way.open(database);
  try {
    const draws = profile.draws();
    ledger.add(await drive(open, draws, 16, context.quick ? 0.1 : 0.5));
    return ledger.add(await use(open, draws));
  } finally {
    await open.close();
    await ledger.audit(database);
  }
}

const columnsOf = ({ perSecond, p50, p99, failed }: Drive): Record<string, number> => ({
  'per second': Math.round(perSecond),
  'p50 ms': Number(p50.toFixed(1)),
  'p99 ms': Number(p99.toFixed(1)),
  failed,
});
