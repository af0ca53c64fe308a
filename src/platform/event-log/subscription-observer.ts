/** What a subscription tells about itself. */
export interface SubscriptionObserver {
  /** It could not deliver, or do its own work; it will try again. */
  failed(subscriber: string, error: unknown): void;
  /** An event has failed for the last time. */
  deadLetter(subscriber: string, stream: string, version: number, error: unknown): void;
}
