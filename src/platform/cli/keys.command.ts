import { Injectable } from '@nestjs/common';
import { digestOf, newApiKey } from '../credentials/api-key';
import { Database } from '../database/database';
import { idPattern } from '../http/fields';
import { grantable, isGrant } from '../http/scope';
import { parsed, wholeNumber } from './arguments';
import { CliCommand, type Terminal, UsageError } from './cli-command';
import { table } from './terminal';

const longestDays = 36_500;

const insert = {
  text: `
    INSERT INTO platform.api_key (id, name, digest, scopes, expires_at)
    VALUES ($1, $2, decode($3, 'hex'), $4, clock_timestamp() + make_interval(days => $5))
    RETURNING (SELECT count(*) FROM platform.api_key) = 0 AS first`,
};

const list = {
  text: `
    SELECT 'bw_' || id AS id, name, array_to_string(scopes, ',') AS scopes, created_at::date::text AS created,
           coalesce(expires_at::date::text, 'never') AS expires,
           CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= clock_timestamp() THEN 'expired'
                ELSE 'valid' END AS state
    FROM platform.api_key ORDER BY created_at, id`,
};

const revoke = {
  text: `
    UPDATE platform.api_key SET revoked_at = coalesce(revoked_at, clock_timestamp()) WHERE id = ANY ($1) RETURNING id`,
};

type Listed = Record<'id' | 'name' | 'scopes' | 'created' | 'expires' | 'state', string>;

@Injectable()
export class KeysCommand extends CliCommand {
  readonly name = 'keys';
  readonly usage = 'create <name> --scopes <scope>,<scope>… [--days <days>] | list | revoke <id>…';
  readonly summary = `Makes API keys, lists and revokes them. Scopes: ${grantable.join(', ')}.`;

  constructor(private readonly database: Database) {
    super();
  }

  async run(args: readonly string[], terminal: Terminal): Promise<number> {
    const options = { scopes: { type: 'string' }, days: { type: 'string' } } as const;
    const { values, positionals } = parsed(args, options, [1, Infinity]);
    const [action, ...operands] = positionals;
    if (action === 'create' && operands.length === 1)
      return this.create(operands[0]!, values.scopes, values.days, terminal);
    if (values.scopes === undefined && values.days === undefined) {
      if (action === 'list' && operands.length === 0) return this.list(terminal);
      if (action === 'revoke' && operands.length > 0) return this.revoke(operands, terminal);
    }
    throw new UsageError('This is not how it is meant.');
  }

  /** The key alone goes to standard output, for whatever keeps it. */
  private async create(
    name: string,
    text: string | undefined,
    days: string | undefined,
    terminal: Terminal,
  ): Promise<number> {
    if (!idPattern.test(name)) throw new UsageError(`${JSON.stringify(name)} is no name for a key.`);
    if (text === undefined) throw new UsageError('--scopes is missing.');
    const scopes = text.split(',');
    const wrong = scopes.find((scope) => !isGrant(scope));
    if (wrong !== undefined) throw new UsageError(`${JSON.stringify(wrong)} is no scope.`);
    const { id, key } = newApiKey();
    const lasts = wholeNumber('--days', days, 1, longestDays) ?? null;
    const [row] = await this.database.query<{ first: boolean }>(insert, [id, name, digestOf(key), scopes, lasts]);
    terminal.out(key);
    terminal.note(`The key bw_${id} of ${name} is shown this once; every replica takes it within a second.`);
    if (row!.first)
      terminal.note('It is the first: within five seconds every replica asks everybody for a credential.');
    return 0;
  }

  private async list(terminal: Terminal): Promise<number> {
    const keys = await this.database.query<Listed>(list);
    const rows = keys.map(({ id, name, scopes, created, expires, state }) => [
      id,
      name,
      scopes,
      created,
      expires,
      state,
    ]);
    if (rows.length === 0) terminal.out('There are no keys.');
    else
      for (const line of table([['id', 'name', 'scopes', 'created', 'expires', 'state'], ...rows])) terminal.out(line);
    return 0;
  }

  private async revoke(operands: readonly string[], terminal: Terminal): Promise<number> {
    const ids = operands.map((operand) => /^(?:bw_)?([0-9a-f]{12})$/.exec(operand)?.[1]);
    if (ids.includes(undefined)) throw new UsageError('An id of a key is written like bw_0123456789ab.');
    const revoked = await this.database.query<{ id: string }>(revoke, [ids]);
    for (const id of ids) {
      if (revoked.some((row) => row.id === id))
        terminal.out(`bw_${id} is revoked; in five seconds no replica takes it.`);
      else terminal.note(`There is no key bw_${id}.`);
    }
    return revoked.length === new Set(ids).size ? 0 : 1;
  }
}
