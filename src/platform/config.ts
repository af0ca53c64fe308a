import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { type AllowedTarget, parseAllowList } from './allow-list';
import type { TokenIssuer } from './credentials/access-tokens';
import { isNetwork } from './credentials/address';
import { type ConfiguredKey, configuredKeys, keyForm } from './credentials/configured-keys';

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

const keys = z.string().transform((text, context) => {
  const found = configuredKeys(text);
  if (found) return found;
  context.addIssue('not written like keys');
  return z.NEVER;
});
const file = z.string().transform((path, context) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    context.addIssue('not readable');
    return z.NEVER;
  }
});
/** Encrypted, or on this machine. */
const issuerUrl = z.url({ protocol: /^https?$/ }).refine((text) => {
  const { protocol, hostname } = new URL(text);
  return protocol === 'https:' || isLoopback(hostname.replace(/^\[(.*)\]$/, '$1'));
});

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
  REDIS_URL: {
    schema: z.url({ protocol: /^rediss?$/, hostname: /./ }).optional(),
    allowed: 'redis://user:password@host:port/database or rediss://…, or nothing: then there is no broker',
    secret: true,
  },
  REDIS_STREAM_MAXLEN: {
    schema: integer(1_000, 100_000_000).default(100_000),
    allowed: 'an integer from 1000 to 100000000',
  },
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
  STOCK_LOW_MAIL_SUBJECT: {
    schema: z
      .string()
      .regex(/^\P{Cc}{1,200}$/u)
      .default('Stock of <sku> is low'),
    allowed: 'one line of up to 200 characters; <sku>, <available> and <reorderPoint> stand for these',
  },
  STOCK_LOW_MAIL_TEXT: {
    schema: z
      .string()
      .max(10_000)
      .default('Stock of <sku> is low: <available> left, the reorder point is <reorderPoint>'),
    allowed: 'up to 10,000 characters; <sku>, <available> and <reorderPoint> stand for these',
  },
  WEBHOOK_ALLOW: {
    schema: z
      .string()
      .default('')
      .transform((text, context) => {
        const targets = parseAllowList(text);
        if (!targets) context.addIssue('not a list of targets');
        return targets ?? z.NEVER;
      }),
    allowed:
      'addresses, ranges and hosts, separated by commas, with a port where only that is meant: 10.0.0.0/8, hooks.internal:8443',
  },
  DELIVERIES_KEPT_DAYS: { schema: integer(1, 3_650).default(30), allowed: 'days from 1 to 3650' },
  LOG_LEVEL: { schema: z.enum(logLevels).default('info'), allowed: `one of ${logLevels.join(', ')}` },
  LOG_FORMAT: { schema: z.enum(logFormats).optional(), allowed: `one of ${logFormats.join(', ')}` },
  GROUP_MAX: { schema: integer(1, 10_000).default(512), allowed: 'an integer from 1 to 10000' },
  GROUPS_IN_FLIGHT: { schema: integer(1, 100).default(2), allowed: 'an integer from 1 to 100' },
  QUEUE_MAX: { schema: integer(1, 1_000_000).default(20_000), allowed: 'an integer from 1 to 1000000' },
  EVENT_STREAMS_MAX: { schema: integer(0, 10_000).default(200), allowed: 'an integer from 0 to 10000' },
  DRAIN_DELAY_MS: { schema: integer(0, 25_000).default(500), allowed: 'milliseconds from 0 to 25000' },
  API_KEYS: { schema: keys.default([]), allowed: `${keyForm}; and more of them behind semicolons`, secret: true },
  API_KEYS_FILE: { schema: file.pipe(keys).default([]), allowed: `a file with lines like ${keyForm}` },
  OIDC_ISSUER: {
    schema: issuerUrl.optional(),
    allowed: 'the https URL of an OpenID provider, exactly as its tokens name it',
  },
  OIDC_AUDIENCE: { schema: z.string().max(255).optional(), allowed: 'up to 255 characters' },
  RATE_LIMIT_PER_SECOND: {
    schema: integer(0, 1_000_000).default(0),
    allowed: 'an integer from 0 (no limit) to 1000000',
  },
  TRUST_PROXY: {
    schema: z
      .string()
      .transform((text) => text.split(/[\s,]+/))
      .pipe(z.array(z.string().refine(isNetwork)))
      .default([]),
    allowed: 'addresses or networks such as 10.0.0.0/8, divided by commas',
  },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    schema: z.url({ protocol: /^https?$/, hostname: /./ }).optional(),
    allowed: 'the URL of a collector such as http://127.0.0.1:4318, or nothing: then there are no traces',
  },
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
  /** Undefined: there is no broker. */
  readonly redisUrl: string | undefined;
  /** About how many entries a stream of the broker holds at most. */
  readonly redisStreamMaxlen: number;
  /** Undefined: each mail is a line in the log. */
  readonly smtpUrl: string | undefined;
  readonly mailFrom: string;
  readonly mailTo: string;
  /** Subject and text of the mail when stock runs out, with `<sku>` where the SKU is to stand. */
  readonly mailSubject: string;
  readonly mailText: string;
  /** Subject and text of the mail when stock is low, with `<sku>`, `<available>` and `<reorderPoint>`. */
  readonly stockLowMailSubject: string;
  readonly stockLowMailText: string;
  /** What webhooks may lead to although it is not public, or not https. */
  readonly webhookAllow: readonly AllowedTarget[];
  /** How long deliveries that were sent are kept; those that were given up, twice as long. */
  readonly deliveriesKeptDays: number;
  readonly logLevel: (typeof logLevels)[number];
  readonly logFormat: (typeof logFormats)[number];
  /** How many commands share a transaction at most; 1 turns grouping off. */
  readonly groupMax: number;
  readonly groupsInFlight: number;
  /** How many commands wait at most before the service refuses more. */
  readonly queueMax: number;
  /** How many clients follow the events at the same time, at most. */
  readonly eventStreamsMax: number;
  /** How long, in milliseconds, the service says that it is not ready before it takes no more connections. */
  readonly drainDelayMs: number;
  /** Kept in the configuration, beside those of the database. */
  readonly apiKeys: readonly ConfiguredKey[];
  /** Undefined: no access tokens are accepted. */
  readonly tokenIssuer: TokenIssuer | undefined;
  /** Of each credential; 0: as many as it likes. */
  readonly rateLimitPerSecond: number;
  /** Addresses and networks whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  /** Undefined: there are no traces. */
  readonly otlpEndpoint: string | undefined;
  /** Listen on an address that others can reach although there is no credential. */
  readonly allowUnauthenticated: boolean;
  /** Start on a database that may lose what it has confirmed. */
  readonly allowUnsafeDurability: boolean;

  private constructor(values: Values) {
    this.host = values.HOST;
    this.port = values.PORT;
    this.databaseUrl = values.DATABASE_URL;
    this.dataDir = values.BATCHWISE_DATA_DIR;
    this.migrateOnStart = values.MIGRATE_ON_START;
    this.redisUrl = values.REDIS_URL;
    this.redisStreamMaxlen = values.REDIS_STREAM_MAXLEN;
    this.smtpUrl = values.SMTP_URL;
    this.mailFrom = values.MAIL_FROM;
    this.mailTo = values.MAIL_TO;
    this.mailSubject = values.MAIL_SUBJECT;
    this.mailText = values.MAIL_TEXT;
    this.stockLowMailSubject = values.STOCK_LOW_MAIL_SUBJECT;
    this.stockLowMailText = values.STOCK_LOW_MAIL_TEXT;
    this.webhookAllow = values.WEBHOOK_ALLOW;
    this.deliveriesKeptDays = values.DELIVERIES_KEPT_DAYS;
    this.logLevel = values.LOG_LEVEL;
    this.logFormat = values.LOG_FORMAT ?? (process.stdout.isTTY ? 'pretty' : 'json');
    this.groupMax = values.GROUP_MAX;
    this.groupsInFlight = values.GROUPS_IN_FLIGHT;
    this.queueMax = values.QUEUE_MAX;
    this.eventStreamsMax = values.EVENT_STREAMS_MAX;
    this.drainDelayMs = values.DRAIN_DELAY_MS;
    this.apiKeys = [...values.API_KEYS, ...values.API_KEYS_FILE];
    this.tokenIssuer =
      values.OIDC_ISSUER === undefined ? undefined : { issuer: values.OIDC_ISSUER, audience: values.OIDC_AUDIENCE! };
    this.rateLimitPerSecond = values.RATE_LIMIT_PER_SECOND;
    this.trustedProxies = values.TRUST_PROXY;
    this.otlpEndpoint = values.OTEL_EXPORTER_OTLP_ENDPOINT;
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
    if ((env.OIDC_ISSUER?.trim() || '') !== '' && values.OIDC_AUDIENCE === undefined)
      problems.push('OIDC_AUDIENCE is not set; allowed: what the access tokens of OIDC_ISSUER name as their audience');
    if (problems.length > 0) throw new InvalidConfig(problems);
    return new Config(values as Values);
  }

  /** Nobody else can reach the address that the service listens on. */
  get isLoopback(): boolean {
    return isLoopback(this.host);
  }

  /** The same, with the database that is to be used. */
  withDatabase(databaseUrl: string): ConfigWithDatabase {
    return Object.assign(Object.create(Config.prototype) as Config, this, { databaseUrl });
  }
}

export type ConfigWithDatabase = Config & { readonly databaseUrl: string };

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
