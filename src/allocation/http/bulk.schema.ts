import type { ProblemExample } from '../../platform/http/endpoint';
import { problem } from '../../platform/http/problem';
import { lineExample, outOfStock } from './line.schema';

const request = (orderId: string) => JSON.stringify({ orderId, sku: 'SMALL-TABLE', qty: 10 });
const instance = 'urn:batchwise:request:0199f4b2-6e1c-7d3a-9c55-3f0a8b1e2d47';
const result = (line: number, of: { status: number }, outcome: object) =>
  `${JSON.stringify({ line, status: of.status, ...outcome })}\n`;

/** Bodies as they appear in the documentation. */
export const bulkExample = {
  lines: `${request('order-1001')}\n${request('order-1002')}\n`,
  results:
    result(1, { status: 201 }, { allocation: { ...lineExample.promised, repeated: false } }) +
    result(2, outOfStock, { problem: { ...outOfStock, instance } }),
};

/** What is wrong with the request as a whole; what is wrong with a line is its result. */
export const badStream: readonly ProblemExample[] = [
  problem(415, 'unsupported-media-type', 'The body must be sent as application/x-ndjson.'),
];
