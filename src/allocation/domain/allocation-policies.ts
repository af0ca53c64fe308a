import type { AllocationPolicy } from './allocation-policy';
import { UnknownPolicy } from './errors';

/** The policies that plans can be made with, by their names; the first is in force. */
export class AllocationPolicies {
  private readonly all: readonly AllocationPolicy[];

  constructor(inForce: AllocationPolicy, ...others: readonly AllocationPolicy[]) {
    this.all = [inForce, ...others];
  }

  /** @throws UnknownPolicy */
  named(name = this.all[0]!.name): AllocationPolicy {
    const policy = this.all.find((one) => one.name === name);
    if (!policy) throw new UnknownPolicy(name, [...new Set(this.all.map((one) => one.name))]);
    return policy;
  }
}
