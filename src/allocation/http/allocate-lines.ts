import { setTimeout as delay } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { Overloaded } from '../../kernel/unit-of-work';
import { MalformedJson, parseJson } from '../../platform/http/json-body';
import { HttpError, type Problem, problemOf } from '../../platform/http/problem';
import { SchemaPipe } from '../../platform/http/schema.pipe';
import { inOrderAsReady } from '../../platform/in-order';
import { type Line, type LineFault, linesOf } from '../../platform/lines';
import { Allocate, type Allocation } from '../contract/commands';
import { statusOf } from './allocation-answer';
import { AllocationRequest } from './allocations.schema';

/** What became of a line of the input, by its number: what `POST /v1/allocations` would have answered. */
export type LineResult = { readonly line: number; readonly status: number } & (
  | { readonly allocation: Allocation; readonly problem?: never }
  | { readonly problem: Problem; readonly allocation?: never }
);

/** How the lines of an input are worked. */
export interface Course {
  /** Lines under way at once at most. */
  readonly width: number;
  /** What the input is called in problems, as requests are by their ids. */
  readonly id: string;
}

/** Bytes of a line; its JSON has some two hundred. */
const longest = 64 * 1024;
/** Milliseconds for which a line is tried again that finds the service past its capacity. */
const patience = 10_000;
/** Milliseconds until it is tried again, at least; twice as long at most. */
const pause = 50;

const body = new SchemaPipe();

/**
 * Promises order lines that are written as NDJSON, one `AllocationRequest` a line, however many come: memory holds `width` of them,
 * and those of one piece of the input. Results come in the order of the lines, as soon as they are there, one for each line that is
 * not blank.
 *
 * An HttpError of the input ends it: the last result then tells why the line after those that were read has none.
 * @param allocate sends the command; lines that it refuses as overloaded are sent again
 * @throws what else the input throws, after the results of all lines that were read
 */
export async function* allocateLines(
  input: AsyncIterable<Uint8Array>,
  allocate: (command: Allocate) => Promise<Allocation>,
  { width, id }: Course,
): AsyncGenerator<LineResult[]> {
  const results = new Results(allocate, id);
  let read = 0;
  async function* filled(): AsyncGenerator<Line[]> {
    for await (const lines of linesOf(input, longest)) {
      read = lines.at(-1)?.line ?? read;
      yield lines.filter(({ text }) => text === undefined || text.trim() !== '');
    }
  }
  try {
    yield* inOrderAsReady(filled(), width, (line) => results.of(line));
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    yield [results.problem(read + 1, error)];
  }
}

/** Results as NDJSON. */
export function textOf(results: readonly LineResult[]): string {
  let text = '';
  for (const result of results) text += `${JSON.stringify(result)}\n`;
  return text;
}

/** Makes results of lines. None throws: what goes wrong with a line is its result. */
class Results {
  readonly #log = new Logger('Bulk');

  constructor(
    private readonly allocate: (command: Allocate) => Promise<Allocation>,
    private readonly id: string,
  ) {}

  of(line: Line): LineResult | Promise<LineResult> {
    try {
      return this.attempt(line.line, commandOf(line), performance.now() + patience);
    } catch (error) {
      return this.problem(line.line, error);
    }
  }

  problem(line: number, error: unknown): LineResult {
    const problem = problemOf(error, this.id);
    if (problem.status === 500) this.#log.error({ msg: 'A line failed.', line, requestId: this.id, err: error });
    return { line, status: problem.status, problem };
  }

  private attempt(line: number, command: Allocate, until: number): Promise<LineResult> {
    return this.allocate(command).then(
      (allocation) => this.answer(line, allocation),
      async (error) => {
        if (!(error instanceof Overloaded) || performance.now() >= until) return this.problem(line, error);
        await delay(pause * (1 + Math.random()));
        return this.attempt(line, command, until);
      },
    );
  }

  private answer(line: number, allocation: Allocation): LineResult {
    try {
      return { line, status: statusOf(allocation), allocation };
    } catch (error) {
      return this.problem(line, error);
    }
  }
}

const unreadable: Record<LineFault, () => HttpError> = {
  'not UTF-8': () => new MalformedJson('The line is not UTF-8.'),
  'too long': () => new HttpError(413, 'body-too-large', `The line has more than ${longest} bytes.`),
};

/** @throws HttpError as for a body of the same content */
function commandOf(line: Line): Allocate {
  if (line.fault !== undefined) throw unreadable[line.fault]();
  const text = line.line === 1 && line.text.startsWith('\ufeff') ? line.text.slice(1) : line.text;
  const request = body.transform(parseJson(text, 'line'), { type: 'body', schema: AllocationRequest });
  const { whenOutOfStock, priority, ...requested } = request as AllocationRequest;
  return new Allocate(requested, { whenOutOfStock, priority });
}
