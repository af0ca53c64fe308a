/** Tells, inside this process, that a delivery is due, so that it does not wait for the next look. */
export abstract class DeliverySignal {
  /** To be called after the commit. */
  abstract announce(): void;
}
