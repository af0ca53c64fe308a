import type { LineState } from '../contract/order-lines';

/** How a line stands, in words; null: the service does not know it. */
export function standing(line: LineState | null): string {
  if (line === null) return 'not there';
  const { status, batchRef, eta } = line;
  return status === 'promised' ? `promised from ${batchRef} (${eta ?? 'warehouse'})` : status;
}
