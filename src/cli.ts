#!/usr/bin/env node
import 'reflect-metadata';
import './platform/modest-heap';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppModule, modules } from './app.module';
import { parsed } from './platform/cli/arguments';
import { CliCommand } from './platform/cli/cli-command';
import { runCommandLine } from './platform/cli/command-line';
import { MigrateCommand } from './platform/cli/migrate.command';
import { terminalOn } from './platform/cli/terminal';

class ServeCommand extends CliCommand {
  readonly name = 'serve';
  readonly usage = '';
  readonly summary = 'Runs the service, as `npm start` does, until SIGTERM or SIGINT.';

  async run(args: readonly string[]): Promise<number> {
    parsed(args, {});
    await import('./main.js');
    return new Promise(() => undefined); // From here on the service ends the process.
  }
}

const { version } = JSON.parse(readFileSync(join(__dirname, '../package.json'), 'utf8')) as { version: string };

const commandLine = {
  version,
  modules,
  application: AppModule.forRoot.bind(AppModule),
  outside: [new ServeCommand(), new MigrateCommand(modules)],
};

// Whoever reads what is printed may have read enough: `batchwise verify | head -1`.
process.stdout.on('error', () => process.exit(1));

void runCommandLine(commandLine, process.argv.slice(2), process.env, terminalOn(process.stdout, process.stderr)).then(
  (status) => process.exit(status),
);
