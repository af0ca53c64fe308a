/** Says when stock of a SKU, or of the SKUs of a pattern, is low. The same again changes nothing. Answer: `ThresholdState`. */
export class SetThreshold {
  /**
   * @param pattern a SKU; or a pattern of SKUs, in which `*` stands for any characters, or none
   * @param reorderPoint units, inbound ones included, at which stock is low
   * @param clearAt units at which it has recovered, above `reorderPoint`; undefined: a tenth more, at least one unit
   */
  constructor(
    readonly pattern: string,
    readonly reorderPoint: number,
    readonly clearAt?: number,
  ) {}
}

/** Takes a threshold back. Answer: `ThresholdState`, as it was. */
export class RemoveThreshold {
  constructor(readonly pattern: string) {}
}
