import type { Allocation } from '../contract/commands';
import type { Candidate, Explanation, PassedOver } from '../contract/queries';
import type { AllocationPolicy } from './allocation-policy';
import type { Batch } from './batch';
import type { OrderLine } from './order-line';

/** What an allocation was decided from. */
export interface Situation {
  readonly batches: Iterable<Batch>;
  readonly policy: AllocationPolicy;
  /** The head of the queue of those who wait. */
  readonly head: OrderLine | undefined;
}

/** Why a line was allocated as it was, out of the situation before. */
export function explainAllocation(allocation: Allocation, { batches, policy, head }: Situation): Explanation {
  const ranked = [...batches]
    .filter(({ ref, available }) => available > 0 || ref === allocation.batchRef)
    .sort((a, b) => policy.compare(a, b, allocation));
  const fitting = ranked.filter((batch) => batch.canTake(allocation));
  const chosen = ranked.find(({ ref }) => ref === allocation.batchRef);
  const reason = reasonFor(allocation, fitting.length > 0);
  const next = reason === 'best-fit' ? fitting.find((batch) => batch !== chosen) : undefined;
  const decidedBy = next ? policy.between(chosen!, next, allocation).name : null;

  const passedOver = (batch: Batch): PassedOver => {
    const { ref, available } = batch;
    if (chosen && reason === 'stands')
      return { reason: 'line-stands', rule: null, message: `The line is promised from ${chosen.ref} already.` };
    if (!batch.canTake(allocation))
      return {
        reason: 'too-small',
        rule: null,
        message: `${ref} has ${available} left, the line needs ${allocation.qty}.`,
      };
    if (!chosen) return { reason: 'kept-for-backorders', rule: null, message: `${ref} is kept for those who wait.` };
    const rule = policy.between(chosen, batch, allocation).name;
    return { reason: 'less-preferred', rule, message: `${chosen.ref} is preferred to ${ref}: ${rule}.` };
  };
  const candidates = ranked.map((batch): Candidate => {
    const { ref: batchRef, eta, available } = batch;
    const isChosen = batch === chosen;
    return { batchRef, eta, available, chosen: isChosen, passedOver: isChosen ? null : passedOver(batch) };
  });
  const message = sentence(reason, allocation, decidedBy, head);
  return { allocation, policy: policy.name, reason, decidedBy, message, candidates };
}

function reasonFor({ status, repeated }: Allocation, fits: boolean): Explanation['reason'] {
  if (repeated && status !== 'refused') return 'stands';
  if (status === 'promised') return 'best-fit';
  return fits ? 'backorders-first' : 'nothing-fits';
}

function sentence(
  reason: Explanation['reason'],
  { batchRef, qty, sku }: Allocation,
  decidedBy: string | null,
  head: OrderLine | undefined,
): string {
  switch (reason) {
    case 'stands':
      return batchRef === null
        ? `The line waits for ${sku} already.`
        : `The line is promised from ${batchRef} already.`;
    case 'best-fit':
      return decidedBy === null
        ? `${batchRef} is the only batch that can take all ${qty}.`
        : `${batchRef} is the best batch that can take all ${qty}: ${decidedBy}.`;
    case 'nothing-fits':
      return `No batch of ${sku} can take all ${qty}, and a line is never split.`;
    case 'backorders-first':
      return `What is left of ${sku} is kept for those who wait: first order ${head!.orderId} with priority ${head!.priority}.`;
  }
}
