import { isIPv4 } from 'node:net';
import { z } from 'zod';

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
const logFormats = ['pretty', 'json'] as const;

interface Variable {
  readonly schema: z.ZodType;
  readonly allowed: string;
  /** Its value must not be repeated in a message. */
  readonly secret?: true;
}

const integer = (minimum: number, maximum: number) =>
  z.string().regex(/^\d+$/).transform(Number).pipe(z.int().min(minimum).max(maximum));
const flag = z.stringbool({ truthy: ['true', '1'], falsy: ['false', '0'] }).default(false);
const trueOrFalse = 'true or false';
const mailAddress = z.string().regex(/^[^\s<>()[\],;:"@]+@[\w.-]+$/);
const oneMailAddress = 'one mail address such as stock@made.com';

const variables = {
  HOST: {
    schema: z
      .string()
      .regex(/^[\w.:-]+$/)
      .default('127.0.0.1'),
    allowed: 'a host name or an IP address',
  },
  PORT: { schema: integer(0, 65_535).default(3000), allowed: 'a port from 0 to 65535; 0 picks a free one' },
  DATABASE_URL: {
    schema: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
    allowed: 'postgres://user:password@host:port/database, or nothing for the embedded PostgreSQL',
    secret: true,
  },
  BATCHWISE_DATA_DIR: { schema: z.string().default('.batchwise'), allowed: 'a directory' },
  MIGRATE_ON_START: { schema: flag, allowed: trueOrFalse },
  SMTP_URL: {
    schema: z.url({ protocol: /^smtps?$/, hostname: /./ }).optional(),
    allowed: 'smtp://user:password@host:port or smtps://…, or nothing: then each mail is a line in the log',
    secret: true,
  },
  MAIL_FROM: { schema: mailAddress.default('allocations@example.com'), allowed: oneMailAddress },
  MAIL_TO: { schema: mailAddress.default('stock@made.com'), allowed: oneMailAddress },
  MAIL_SUBJECT: {
    schema: z
      .string()
      .regex(/^\P{Cc}{1,200}$/u)
      .default('allocation service notification'),
    allowed: 'one line of up to 200 characters; <sku> stands for the SKU',
  },
  MAIL_TEXT: {
    schema: z.string().max(10_000).default('Out of stock for <sku>'),
    allowed: 'up to 10,000 characters; <sku> stands for the SKU',
  },
  LOG_LEVEL: { schema: z.enum(logLevels).default('info'), allowed: `one of ${logLevels.join(', ')}` },
  LOG_FORMAT: { schema: z.enum(logFormats).optional(), allowed: `one of ${logFormats.join(', ')}` },
  GROUP_MAX: { schema: integer(1, 10_000).default(512), allowed: 'an integer from 1 to 10000' },
  GROUPS_IN_FLIGHT: { schema: integer(1, 100).default(2), allowed: 'an integer from 1 to 100' },
  QUEUE_MAX: { schema: integer(1, 1_000_000).default(20_000), allowed: 'an integer from 1 to 1000000' },
  DRAIN_DELAY_MS: { schema: integer(0, 25_000).default(500), allowed: 'milliseconds from 0 to 25000' },
  ALLOW_UNAUTHENTICATED: { schema: flag, allowed: trueOrFalse },
  ALLOW_UNSAFE_DURABILITY: { schema: flag, allowed: trueOrFalse },
} as const satisfies Record<string, Variable>;

type Values = { readonly [Name in keyof typeof variables]: z.output<(typeof variables)[Name]['schema']> };

/** The environment does not say how the service is to run. The message names every variable that is wrong. */
export class InvalidConfig extends Error {
  constructor(readonly problems: readonly string[]) {
    super(`The configuration is not valid:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'InvalidConfig';
  }
}

/** What an operator decides, read from the environment once, at the start. */
export class Config {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Undefined: the embedded PostgreSQL, kept in `dataDir`. */
  readonly databaseUrl: string | undefined;
  readonly dataDir: string;
  readonly migrateOnStart: boolean;
  /** Undefined: each mail is a line in the log. */
  readonly smtpUrl: string | undefined;
  readonly mailFrom: string;
  readonly mailTo: string;
  /** Subject and text of the mail when stock runs out, with `<sku>` where the SKU is to stand. */
  readonly mailSubject: string;
  readonly mailText: string;
  readonly logLevel: (typeof logLevels)[number];
  readonly logFormat: (typeof logFormats)[number];
  /** How many commands share a transaction at most; 1 turns grouping off. */
  readonly groupMax: number;
  readonly groupsInFlight: number;
  /** How many commands wait at most before the service refuses more. */
  readonly queueMax: number;
  /** How long, in milliseconds, the service says that it is not ready before it takes no more connections. */
  readonly drainDelayMs: number;
  /** Listen on an address that others can reach although nobody has to show a credential. */
  readonly allowUnauthenticated: boolean;
  /** Start on a database that may lose what it has confirmed. */
  readonly allowUnsafeDurability: boolean;

  private constructor(values: Values) {
    this.host = values.HOST;
    this.port = values.PORT;
    this.databaseUrl = values.DATABASE_URL;
    this.dataDir = values.BATCHWISE_DATA_DIR;
    this.migrateOnStart = values.MIGRATE_ON_START;
    this.smtpUrl = values.SMTP_URL;
    this.mailFrom = values.MAIL_FROM;
    this.mailTo = values.MAIL_TO;
    this.mailSubject = values.MAIL_SUBJECT;
    this.mailText = values.MAIL_TEXT;
    this.logLevel = values.LOG_LEVEL;
    this.logFormat = values.LOG_FORMAT ?? (process.stdout.isTTY ? 'pretty' : 'json');
    this.groupMax = values.GROUP_MAX;
    this.groupsInFlight = values.GROUPS_IN_FLIGHT;
    this.queueMax = values.QUEUE_MAX;
    this.drainDelayMs = values.DRAIN_DELAY_MS;
    this.allowUnauthenticated = values.ALLOW_UNAUTHENTICATED;
    this.allowUnsafeDurability = values.ALLOW_UNSAFE_DURABILITY;
  }

  /**
   * Reads the variables it knows and ignores all others; an empty one counts as not set.
   *
   * @throws InvalidConfig that names every problem at once
   */
  static load(env: NodeJS.ProcessEnv): Config {
    const problems: string[] = [];
    const values: Record<string, unknown> = {};
    for (const [name, { schema, allowed, ...variable }] of Object.entries<Variable>(variables)) {
      const text = env[name]?.trim() || undefined;
      const result = schema.safeParse(text);
      if (result.success) values[name] = result.data;
      else
        problems.push(`${name} is ${variable.secret ? 'something else' : JSON.stringify(text)}; allowed: ${allowed}`);
    }
    const { HOST, ALLOW_UNAUTHENTICATED } = values as Partial<Values>;
    if (HOST !== undefined && !isLoopback(HOST) && ALLOW_UNAUTHENTICATED === false)
      problems.push(
        `HOST is ${JSON.stringify(HOST)}; allowed: a loopback address such as 127.0.0.1, because nobody has to show a ` +
          'credential, unless ALLOW_UNAUTHENTICATED=true',
      );
    if (problems.length > 0) throw new InvalidConfig(problems);
    return new Config(values as Values);
  }

  /** The same, with the database that is to be used. */
  withDatabase(databaseUrl: string): ConfigWithDatabase {
    return Object.assign(Object.create(Config.prototype) as Config, this, { databaseUrl });
  }
}

export type ConfigWithDatabase = Config & { readonly databaseUrl: string };

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
