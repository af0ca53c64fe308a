import { newLine } from './orders';
import type { OpenWay } from './ways';

export interface Drive {
  readonly perSecond: number;
  readonly acknowledged: number;
  readonly unanswered: number;
  readonly failed: number;
  /** Milliseconds from the wish to the answer, waiting for a connection included. */
  readonly p50: number;
  readonly p99: number;
}

/** Keeps a number of allocations waiting for a while, without HTTP: SKU after SKU of `draws`. */
export function drive(
  way: Pick<OpenWay, 'allocate'>,
  draws: readonly string[],
  waiting: number,
  seconds: number,
): Promise<Drive> {
  let next = 0;
  return keepBusy(() => way.allocate(newLine(draws[next++ % draws.length]!)), waiting, seconds);
}

/** Keeps a number of wishes waiting for a while; each says whether it was fulfilled. */
export async function keepBusy(wish: () => Promise<boolean>, waiting: number, seconds: number): Promise<Drive> {
  const latencies: number[] = [];
  let failed = 0;
  const start = performance.now();
  const client = async (): Promise<void> => {
    for (let begin = start; begin < start + seconds * 1000; begin = performance.now()) {
      if (!(await wish())) failed += 1;
      else latencies.push(performance.now() - begin);
    }
  };
  await Promise.all(Array.from({ length: waiting }, client));
  const elapsed = (performance.now() - start) / 1000;
  latencies.sort((a, b) => a - b);
  const percentile = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0;
  return {
    perSecond: latencies.length / elapsed,
    acknowledged: latencies.length,
    unanswered: 0,
    failed,
    p50: percentile(0.5),
    p99: percentile(0.99),
  };
}
