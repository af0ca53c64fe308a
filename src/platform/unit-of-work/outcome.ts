/** What a work returned or threw. */
export type Outcome = ({ readonly result: unknown } | { readonly error: unknown }) & {
  /** The id of the request that it became of, if that is another one. */
  readonly repeatOf?: string;
};
