import { isUtf8 } from 'node:buffer';
import type { z } from 'zod';

/** Bytes that a message has at most. */
export const largest = 64 * 1024;

/**
 * A kind of message that is taken from the broker. A provider of a module that extends it is found by the intake, which
 * checks what arrives and sends the command: at least once, and in order per SKU.
 */
export abstract class BrokerMessage<Data = unknown> {
  /** What the entries of the stream call it; unique. */
  abstract readonly type: string;
  /** A channel on which it is also taken, without an id and without a promise that it arrives. */
  readonly channel?: string;
  /** What its data looks like. Further members should be ignored: producers may know more than we do. */
  abstract readonly schema: z.ZodType<Data>;

  /** The command that it asks for, which must be safe to repeat. */
  abstract toCommand(data: Data): object;

  /** What it is about. Messages about different things are handled at the same time; undefined: in nobody's company. */
  aboutSku?(data: Data): string;
}

/** A message that can never be understood. */
export class InvalidMessage extends Error {}

/** What a message asks for. */
export interface Request {
  readonly command: object;
  readonly sku: string | undefined;
}

/** Reads the data of a message. @throws InvalidMessage */
export function requestOf(kind: BrokerMessage, data: Buffer): Request {
  const result = kind.schema.safeParse(jsonOf(data));
  if (!result.success) {
    const issues = result.error.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': '));
    throw new InvalidMessage(issues.join('; ').slice(0, 500));
  }
  return { command: kind.toCommand(result.data), sku: kind.aboutSku?.(result.data) };
}

function jsonOf(data: Buffer): unknown {
  if (data.length > largest) throw new InvalidMessage(`more than ${largest} bytes`);
  if (!isUtf8(data)) throw new InvalidMessage('not UTF-8');
  try {
    return JSON.parse(data.toString()) as unknown;
  } catch {
    throw new InvalidMessage('not JSON');
  }
}
