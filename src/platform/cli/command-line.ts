import type { DynamicModule, INestApplicationContext, Type } from '@nestjs/common';
import { DiscoveryService, ModulesContainer, NestFactory } from '@nestjs/core';
import pretty from 'pino-pretty';
import { Config, type ConfigWithDatabase } from '../config';
import { openDatabase } from '../database/open-database';
import { explain } from '../explain';
import { StructuredLogger } from '../logging/structured-logger';
import { inContext } from '../request-context';
import { providersOf } from '../providers';
import { newId } from '../new-id';
import { CliCommand, type Terminal, UsageError } from './cli-command';

/** What the command line is made of. */
export interface CommandLine {
  readonly version: string;
  /** All modules, for the migrations. */
  readonly modules: readonly Type[];
  readonly application: (config: ConfigWithDatabase) => DynamicModule;
  /** Commands that need no application, or bring up their own. */
  readonly outside: readonly CliCommand[];
}

const failed = 1;
const misunderstood = 2;

/**
 * Runs `batchwise <command> …` and says on the terminal what came of it.
 * @returns the exit status: 0; 1: it failed, or found something wrong; 2: it was not understood
 */
export async function runCommandLine(
  { version, modules, application, outside }: CommandLine,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  terminal: Terminal,
): Promise<number> {
  const [name, ...rest] = args;
  if (name === '--version' || name === '-v') {
    terminal.out(version);
    return 0;
  }
  try {
    const known = [...outside, ...(await describedCommands(application))];
    const [command] = known.filter((one) => one.name === name);
    if (!command) {
      const asked = name === '--help' || name === '-h' || name === 'help';
      if (!asked && name !== undefined) terminal.note(`batchwise: there is no command ${JSON.stringify(name)}.`);
      for (const line of helpOf(known))
        if (asked) terminal.out(line);
        else terminal.note(line);
      return asked ? 0 : misunderstood;
    }
    if (rest.includes('--help') || rest.includes('-h')) {
      for (const line of usageOf(command)) terminal.out(line);
      return 0;
    }
    try {
      if (outside.includes(command)) return await command.run(rest, terminal);
      return await runInside(application, modules, env, (context) =>
        commandOf(context, command.name).run(rest, terminal),
      );
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      terminal.note(`batchwise ${command.name}: ${error.message}`);
      for (const line of usageOf(command)) terminal.note(line);
      return misunderstood;
    }
  } catch (error) {
    terminal.note(explain(error, `batchwise ${name} cannot go on`));
    return failed;
  }
}

const usageOf = ({ name, usage, summary }: CliCommand): string[] => [
  `Usage: batchwise ${name} ${usage}`.trimEnd(),
  summary,
];

function helpOf(commands: readonly CliCommand[]): string[] {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    'Usage: batchwise <command> [arguments]',
    '',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'batchwise <command> --help shows its arguments; batchwise --version the version.',
    'Settings such as DATABASE_URL come from the environment; .env.example lists them.',
  ];
}

/**
 * The commands of all modules, good for nothing but to be described: they are made without what they depend on, so that
 * help needs no database.
 */
async function describedCommands(application: CommandLine['application']): Promise<CliCommand[]> {
  const nowhere = Config.load({}).withDatabase('postgres://nowhere.invalid/none');
  const preview = await NestFactory.createApplicationContext(application(nowhere), { preview: true, logger: false });
  const discovery = new DiscoveryService(preview.get(ModulesContainer));
  const classes = discovery.getProviders().map(({ metatype }): unknown => metatype);
  return classes.filter(isCommandClass).map((command) => new command());
}

const isCommandClass = (type: unknown): type is new () => CliCommand =>
  typeof type === 'function' && type.prototype instanceof CliCommand;

function commandOf(context: INestApplicationContext, name: string): CliCommand {
  return providersOf(context.get(DiscoveryService), CliCommand).find((command) => command.name === name)!;
}

/** Brings up the application without its server, and takes it down again. */
async function runInside(
  application: CommandLine['application'],
  modules: readonly Type[],
  env: NodeJS.ProcessEnv,
  use: (context: INestApplicationContext) => Promise<number>,
): Promise<number> {
  const config = Config.load({ LOG_LEVEL: 'warn', ...env });
  const logger = new StructuredLogger(
    config,
    pretty({ sync: true, destination: 2, colorize: process.stderr.isTTY, ignore: 'pid,hostname' }),
  );
  const database = await openDatabase(config, modules);
  try {
    const context = await NestFactory.createApplicationContext(application(config.withDatabase(database.url)), {
      logger,
      abortOnError: false,
    });
    try {
      const actor = { actor: 'cli', correlationId: newId(), causationId: null };
      return await inContext(actor, () => use(context));
    } finally {
      await context.close();
    }
  } finally {
    await database.close();
  }
}
