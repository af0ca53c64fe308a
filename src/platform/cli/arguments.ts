import { parseArgs, type ParseArgsConfig } from 'node:util';
import { UsageError } from './cli-command';

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * The options and the other arguments of a command.
 * @param operands how few and how many other arguments there may be
 * @throws UsageError
 */
export function parsed<O extends Options>(args: readonly string[], options: O, operands: [number, number] = [0, 0]) {
  const result = understood(() => parseArgs({ args: [...args], options, allowPositionals: true }));
  const [least, most] = operands;
  const { length } = result.positionals;
  if (length < least) throw new UsageError('An argument is missing.');
  if (length > most) throw new UsageError(`The argument ${JSON.stringify(result.positionals[most])} is one too many.`);
  return result;
}

function understood<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** The value of an option that is a whole number. @throws UsageError */
export function wholeNumber(option: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new UsageError(`${option} is ${JSON.stringify(text)}; a whole number from ${least} to ${most} is allowed.`);
}
