import type { Type } from '@nestjs/common';
import { Config } from '../config';
import { startEmbeddedPostgres } from '../database/embedded-postgres';
import { migrate } from '../database/migrate';
import { requireFitServer } from '../database/require-fit-server';
import { parsed } from './arguments';
import { CliCommand, type Terminal } from './cli-command';

/** Outside of the application, which does not start on a database that is not migrated. */
export class MigrateCommand extends CliCommand {
  readonly name = 'migrate';
  readonly usage = '';
  readonly summary = 'Brings the database to the schema of this version; an empty one, too.';

  constructor(private readonly modules: readonly Type[]) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    parsed(args, {});
    const config = Config.load(process.env);
    const embedded = config.databaseUrl === undefined ? await startEmbeddedPostgres(config.dataDir) : undefined;
    try {
      const url = config.databaseUrl ?? embedded!.url();
      await requireFitServer(url, config);
      const ran = await migrate(url, this.modules);
      for (const migration of ran) terminal.out(migration);
      if (ran.length === 0) terminal.out('The database is up to date.');
      return 0;
    } finally {
      await embedded?.stop();
    }
  }
}
