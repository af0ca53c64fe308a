import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { CommandBus, type ICommand } from '@nestjs/cqrs';
import { Counter, Gauge, Registry } from 'prom-client';
import { DomainError } from '../../kernel/domain-error';
import { Outstanding } from '../outstanding';

type Execute = (command: ICommand, ...rest: never[]) => Promise<unknown>;

/** Counts the commands of this process by name and outcome: `ok`, the code of the domain's refusal, or `failed`. */
@Injectable()
export class CommandMetrics implements OnApplicationBootstrap {
  /** The commands that are being executed. */
  readonly running = new Outstanding();
  readonly #counts = new Map<string, Map<string, number>>();

  constructor(
    private readonly commands: CommandBus,
    registry: Registry,
  ) {
    const { running } = this;
    const counts = this.#counts;
    new Counter({
      name: 'batchwise_commands_total',
      help: 'Commands executed, by name and outcome (ok, the code of the refusal, failed).',
      labelNames: ['command', 'outcome'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [command, outcomes] of counts)
          for (const [outcome, n] of outcomes) this.inc({ command, outcome }, n);
      },
    });
    new Gauge({
      name: 'batchwise_commands_running',
      help: 'Commands that are being executed, waiting ones included.',
      registers: [registry],
      collect() {
        this.set(running.count);
      },
    });
  }

  /** Wraps the bus once; a count costs two map look-ups per command. */
  onApplicationBootstrap(): void {
    const { commands } = this;
    const execute: Execute = commands.execute.bind(commands);
    const counted: Execute = async (command, ...rest) => {
      this.running.begin();
      let outcome = 'ok';
      try {
        return await execute(command, ...rest);
      } catch (error) {
        outcome = error instanceof DomainError ? error.code : 'failed';
        throw error;
      } finally {
        this.running.end();
        this.#count(command.constructor.name, outcome);
      }
    };
    commands.execute = counted;
  }

  #count(command: string, outcome: string): void {
    let outcomes = this.#counts.get(command);
    if (outcomes === undefined) {
      outcomes = new Map<string, number>();
      this.#counts.set(command, outcomes);
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
}
