import { Injectable, Logger } from '@nestjs/common';
import { CommandBus, type ICommand } from '@nestjs/cqrs';
import { DomainError } from '../../kernel/domain-error';
import { inContext } from '../request-context';
import type { Turn } from './turn';

/** How often a command is tried that fails for no reason that the domain knows. */
const mostFailures = 5;
/** Milliseconds before the next attempt, twice as long each time. */
const pauses = { first: 100, longest: 5_000 };

/** Executes what messages ask for. */
@Injectable()
export class Execution {
  private readonly logger = new Logger('Broker');

  constructor(private readonly commands: CommandBus) {}

  /**
   * Sends a command until it is done or refused: while the service is overloaded or its database out of reach, it is sent again.
   * @param source where the message came from
   * @param id of the message, if it has one
   * @returns why it can never succeed; undefined: it is done
   * @throws Stopping, Fenced: it may or may not have been done
   */
  async execute(command: ICommand, source: string, id: string | null, turn: Turn): Promise<string | undefined> {
    const context = { actor: `broker:${source}`, correlationId: id, causationId: id };
    for (let failures = 1, pause = pauses.first; ; pause = Math.min(pauses.longest, pause * 2)) {
      try {
        await inContext(context, () => this.commands.execute(command));
        return undefined;
      } catch (error) {
        const passing = error instanceof DomainError && error.kind === 'unavailable';
        if (error instanceof DomainError && !passing) return `${error.code}: ${error.message}`;
        if (!passing && failures++ >= mostFailures) return `failed: ${String(error)}`;
        this.logger.warn(`a message from ${source} could not be handled and is tried again: ${String(error)}`);
      }
      await turn.rest(pause);
      turn.mayGoOn();
    }
  }
}
