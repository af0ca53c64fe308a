/** Where webhooks may lead. */
export abstract class WebhookDestinations {
  /**
   * What is wrong with a URL, as far as can be told without looking up its host, as a sentence without its full stop;
   * undefined: nothing. The address is judged again whenever it is connected to.
   */
  abstract objectionTo(url: string): string | undefined;
}
