import { Client } from 'pg';
import { databaseTimeouts } from './data-source-options';

/** The server is too old, or would lose what Batchwise confirms. */
export class UnfitServer extends Error {}

const oldestMajor = 15;

interface Settings {
  readonly version: number;
  readonly fsync: string;
  readonly full_page_writes: string;
  readonly synchronous_commit: string;
}

/**
 * Checks that the server keeps what it confirms, through a power cut too.
 * @param allowUnsafeDurability by name of the operator: a server that may lose confirmed data will do
 * @throws UnfitServer
 */
export async function requireFitServer(url: string, { allowUnsafeDurability = false } = {}): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: databaseTimeouts.connect });
  await client.connect();
  try {
    const { rows } = await client.query<Settings>(`
      SELECT current_setting('server_version_num')::int AS version, current_setting('fsync') AS fsync,
             current_setting('full_page_writes') AS full_page_writes,
             current_setting('synchronous_commit') AS synchronous_commit`);
    const settings = rows[0]!;
    const major = Math.floor(settings.version / 10_000);
    if (major < oldestMajor) {
      throw new UnfitServer(`Batchwise needs PostgreSQL ${oldestMajor} or later; DATABASE_URL leads to ${major}.`);
    }
    const unsafe = (['fsync', 'full_page_writes', 'synchronous_commit'] as const).filter(
      (name) => settings[name] === 'off',
    );
    if (unsafe.length > 0 && !allowUnsafeDurability) {
      throw new UnfitServer(
        `The database may lose confirmed orders: ${unsafe.join(', ')} is off. Set ALLOW_UNSAFE_DURABILITY=true to accept that.`,
      );
    }
  } finally {
    await client.end();
  }
}
