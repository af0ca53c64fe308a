import { Injectable } from '@nestjs/common';
import { Database } from '../database/database';
import { type DeadLetter, DeadLetters } from '../event-log/parked-events';
import { parsed } from './arguments';
import { CliCommand, type Terminal, UsageError } from './cli-command';
import { table } from './terminal';

const pageSize = 100;

@Injectable()
export class DeadLettersCommand extends CliCommand {
  readonly name = 'dead-letters';
  readonly usage = 'list [--subscriber <name>] | show <id> | replay <id>… | discard <id>…';
  readonly summary = 'Lists events that failed for the last time, has them tried again, or gives them up.';

  constructor(private readonly database: Database) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const { positionals, values } = parsed(args, { subscriber: { type: 'string' } }, [1, Infinity]);
    const [action, ...ids] = positionals;
    if (action === 'list' && ids.length === 0) return this.list(terminal, values.subscriber);
    if (values.subscriber !== undefined) throw new UsageError('--subscriber goes with list.');
    const wrong = ids.find((id) => !/^\d{1,18}$/.test(id));
    if (wrong !== undefined) throw new UsageError(`${JSON.stringify(wrong)} is no id of a dead letter.`);
    if (action === 'show' && ids.length === 1) return this.show(ids[0]!, terminal);
    if (action === 'replay' && ids.length > 0)
      return this.forEach(ids, terminal, 'will be tried again', (id) => DeadLetters.replay(this.database, id));
    if (action === 'discard' && ids.length > 0)
      return this.forEach(ids, terminal, 'is given up', (id) => DeadLetters.discard(this.database, id));
    throw new UsageError('This is not how it is meant.');
  }

  private async list(terminal: Terminal, subscriber?: string): Promise<number> {
    const rows: string[][] = [['id', 'subscriber', 'stream', 'version', 'type', 'attempts', 'dead since', 'error']];
    for (let page: DeadLetter[] = [], after = '0'; after === '0' || page.length === pageSize; after = page.at(-1)!.id) {
      page = await DeadLetters.list(this.database, pageSize, after, subscriber);
      for (const { id, subscriber, stream, version, type, attempts, deadAt, error } of page) {
        rows.push([
          id,
          subscriber,
          stream,
          `${version}`,
          type,
          `${attempts}`,
          deadAt,
          error.split('\n')[0]!.slice(0, 80),
        ]);
      }
      if (page.length === 0) break;
    }
    if (rows.length === 1) terminal.out('There are no dead letters.');
    else for (const line of table(rows)) terminal.out(line);
    return 0;
  }

  private async show(id: string, terminal: Terminal): Promise<number> {
    const letter = await DeadLetters.find(this.database, id);
    if (!letter) return this.unknown(id, terminal);
    for (const [name, value] of Object.entries(letter)) {
      terminal.out(`${name.padEnd(10)}  ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`);
    }
    return 0;
  }

  private async forEach(
    ids: readonly string[],
    terminal: Terminal,
    outcome: string,
    act: (id: string) => Promise<boolean>,
  ): Promise<number> {
    let status = 0;
    for (const id of ids) {
      if (await act(id)) terminal.out(`${id} ${outcome}.`);
      else status = this.unknown(id, terminal);
    }
    return status;
  }

  private unknown(id: string, terminal: Terminal): number {
    terminal.note(`There is no dead letter ${id}.`);
    return 1;
  }
}
