/** What makes a spreadsheet take a cell for a formula: `=`, `+`, `-`, `@`, a tab or a carriage return in front. */
const formula = /^[=+\-@\t\r]/;

/**
 * The text of a cell as a spreadsheet may open it: an apostrophe goes before what it would run as a formula, as OWASP
 * advises against CSV injection. Separators and quotes are the CSV writer's business. Numbers of our own need no such care.
 */
export const neutralCell = (text: string): string => (formula.test(text) ? `'${text}` : text);
