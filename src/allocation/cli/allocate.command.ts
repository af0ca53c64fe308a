import { stat } from 'node:fs/promises';
import { Injectable } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { parsed } from '../../platform/cli/arguments';
import { CliCommand, type Terminal, UsageError } from '../../platform/cli/cli-command';
import { bytesOf } from '../../platform/csv/csv-file';
import { UnreadableFile } from '../../platform/csv/csv-records';
import { newId } from '../../platform/new-id';
import { currentContext } from '../../platform/request-context';
import type { Allocate, Allocation } from '../contract/commands';
import { allocateLines, textOf } from '../http/allocate-lines';

/** Lines under way at once: enough for a full group while another is being committed. */
const width = 1_024;

/** Promises order lines of NDJSON, as `POST /v1/allocations/bulk` does. */
@Injectable()
export class AllocateCommand extends CliCommand {
  readonly name = 'allocate';
  readonly usage = '--ndjson [<file>]';
  readonly summary =
    'Promises order lines of a file or of standard input, JSON line by line; prints a result for each.';

  constructor(private readonly commands: CommandBus) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const { values, positionals } = parsed(args, { ndjson: { type: 'boolean' } } as const, [0, 1]);
    if (!values.ndjson) throw new UsageError('The input is NDJSON: say so by --ndjson.');
    const [file = '-'] = positionals;
    const size = await sizeOf(file === '-' ? '/dev/stdin' : file);
    // How much comes through a pipe is not known beforehand.
    const progress = size > 0 ? terminal.progress(file, size) : undefined;
    const onRead = (bytes: number): void => progress?.update(bytes);
    try {
      const input = file === '-' ? counted(process.stdin, onRead) : bytesOf(file, onRead);
      const { lines, done } = await this.allocate(input, terminal);
      terminal.note(`${done} of ${lines} order lines are promised, or wait for stock.`);
      return done === lines ? 0 : 1;
    } catch (error) {
      if (!(error instanceof UnreadableFile)) throw error;
      terminal.note(`${file}: ${error.message}.`);
      return 1;
    } finally {
      progress?.end();
    }
  }

  private async allocate(
    input: AsyncIterable<Uint8Array>,
    terminal: Terminal,
  ): Promise<{ readonly lines: number; readonly done: number }> {
    const allocate = (command: Allocate) => this.commands.execute<Allocate, Allocation>(command);
    const id = currentContext().correlationId ?? newId();
    let [lines, done] = [0, 0];
    for await (const results of allocateLines(input, allocate, { width, id })) {
      lines += results.length;
      done += results.filter(({ problem }) => problem === undefined).length;
      terminal.out(textOf(results).trimEnd());
    }
    return { lines, done };
  }
}

const sizeOf = (file: string): Promise<number> =>
  stat(file).then(
    ({ size }) => size,
    () => 0,
  );

async function* counted(input: AsyncIterable<Uint8Array>, onRead: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const piece of input) {
    yield piece;
    onRead((bytes += piece.length));
  }
}
