const isoInstant = (expression: string, fraction: 'MS' | 'US'): string =>
  `to_char(${expression} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.${fraction}"Z"')`;

/** SQL: a `timestamptz` as an ISO instant with milliseconds, for readers. NULL where it is NULL. */
export const instantOf = (expression: string): string => isoInstant(expression, 'MS');

/** SQL: the same with microseconds, as the database has it: it can be stored again, or compared, and nothing is lost. */
export const exactInstantOf = (expression: string): string => isoInstant(expression, 'US');
