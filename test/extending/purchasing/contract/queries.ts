/** What should be bought: units that were refused, per SKU. Answer: `Suggestion[]`. */
export class ListSuggestions {}

export interface Suggestion {
  readonly sku: string;
  readonly qty: number;
}
