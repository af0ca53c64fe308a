/** Everything that is to be sent, or was, as long as it is kept. */
export abstract class DeliveryArchive {
  /**
   * Makes a delivery due, as if it had not been tried.
   * @param webhookId only if it is a delivery of this webhook
   * @throws UnknownDelivery
   */
  abstract redeliver(id: string, webhookId?: string): Promise<void>;
}
