/** Where a command of the command line speaks. */
export interface Terminal {
  /** Results, on standard output. */
  out(line: string): void;
  /** Everything else, on standard error. */
  note(line: string): void;
  /** A progress bar on standard error, where that is a terminal. @param total how many steps there are */
  progress(label: string, total: number): Progress;
}

export interface Progress {
  /** @param done steps so far; @param total if it has become clearer */
  update(done: number, total?: number): void;
  end(): void;
}

/** The command line was not understood; the message says how it is meant. */
export class UsageError extends Error {}

/** `batchwise <name> …`. Each module provides its own; a provider that extends this class is found by the command line. */
export abstract class CliCommand {
  abstract readonly name: string;
  /** Arguments and options, as usage shows them: `<folder> [--dry-run]`. */
  abstract readonly usage: string;
  /** One line. */
  abstract readonly summary: string;

  /**
   * @param args what follows the name
   * @returns the exit status: 0, or 1 for "found something wrong"
   * @throws UsageError
   */
  abstract run(args: readonly string[], terminal: Terminal): Promise<number>;
}
