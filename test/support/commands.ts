import type { INestApplicationContext } from '@nestjs/common';
import { DiscoveryService, NestFactory } from '@nestjs/core';
import { AppModule } from '../../src/app.module';
import { CliCommand } from '../../src/platform/cli/cli-command';
import { Config } from '../../src/platform/config';
import { newId } from '../../src/platform/new-id';
import { providersOf } from '../../src/platform/providers';
import { inContext } from '../../src/platform/request-context';

/** What a command said, line by line, and the exit status that it asks for. */
export interface CommandRun {
  readonly code: number;
  readonly out: string[];
  readonly err: string[];
}

/** The commands of `batchwise` in this process, over one application that stays up. */
export class Commands {
  private constructor(private readonly context: INestApplicationContext) {}

  static async on(databaseUrl: string): Promise<Commands> {
    const application = AppModule.forRoot(Config.load({ LOG_LEVEL: 'error' }).withDatabase(databaseUrl));
    const options = { logger: ['error' as const], abortOnError: false };
    return new Commands(await NestFactory.createApplicationContext(application, options));
  }

  /** @throws UsageError */
  async run(name: string, ...args: string[]): Promise<CommandRun> {
    const [out, err]: [string[], string[]] = [[], []];
    const command = providersOf(this.context.get(DiscoveryService), CliCommand).find((one) => one.name === name)!;
    const actor = { actor: 'cli', correlationId: newId(), causationId: null };
    const code = await inContext(actor, () =>
      command.run(args, {
        out: (line) => void out.push(line),
        note: (line) => void err.push(line),
        progress: () => ({ update: () => undefined, end: () => undefined }),
      }),
    );
    return { code, out, err };
  }

  close(): Promise<void> {
    return this.context.close();
  }
}
