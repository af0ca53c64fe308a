import { Config, InvalidConfig } from '../../src/platform/config';

const problemsOf = (env: NodeJS.ProcessEnv): readonly string[] => {
  try {
    Config.load(env);
  } catch (error) {
    if (error instanceof InvalidConfig) return error.problems;
    throw error;
  }
  return [];
};

describe('Config', () => {
  it('needs no variable at all', () => {
    expect(Config.load({})).toMatchObject({
      host: '127.0.0.1',
      port: 3000,
      databaseUrl: undefined,
      dataDir: '.batchwise',
      migrateOnStart: false,
      logLevel: 'info',
      groupMax: 512,
      groupsInFlight: 2,
      queueMax: 20_000,
      drainDelayMs: 500,
      allowUnauthenticated: false,
      allowUnsafeDurability: false,
    });
  });

  it('reads what the operator decides', () => {
    const env = {
      PORT: '0',
      DATABASE_URL: 'postgresql://user:secret@db/batchwise',
      MIGRATE_ON_START: 'true',
      LOG_FORMAT: 'json',
    };
    expect(Config.load(env)).toMatchObject({
      port: 0,
      databaseUrl: 'postgresql://user:secret@db/batchwise',
      migrateOnStart: true,
      logFormat: 'json',
    });
  });

  it('takes an empty variable as not set and ignores the ones it does not know', () => {
    expect(Config.load({ PORT: '', DATABASE_URL: ' ', EDITOR: 'vi' })).toMatchObject({
      port: 3000,
      databaseUrl: undefined,
    });
  });

  it('tells every problem in one message: the variable, what it got and what is allowed', () => {
    expect(() => Config.load({ PORT: '70000', LOG_LEVEL: 'loud', MIGRATE_ON_START: 'perhaps' })).toThrow(
      [
        'The configuration is not valid:',
        '  PORT is "70000"; allowed: a port from 0 to 65535; 0 picks a free one',
        '  MIGRATE_ON_START is "perhaps"; allowed: true or false',
        '  LOG_LEVEL is "loud"; allowed: one of fatal, error, warn, info, debug, trace, silent',
      ].join('\n'),
    );
  });

  it.each(['-1', '1.5', '1e3', '0x10', 'NaN', '99999999999999999999'])('refuses PORT=%s', (PORT) => {
    expect(problemsOf({ PORT })).toHaveLength(1);
  });

  it('never repeats a secret', () => {
    const [problem, other] = problemsOf({ DATABASE_URL: 'mysql://user:secret@db', REDIS_URL: 'http://:secret@redis' });
    expect(problem).toContain('DATABASE_URL');
    expect(other).toContain('REDIS_URL');
    expect(problem! + other!).not.toContain('secret');
  });

  it.each(['127.0.0.1', '127.8.9.10', 'localhost', '::1'])('knows that nobody else reaches %s', (HOST) => {
    expect(Config.load({ HOST }).isLoopback).toBe(true);
  });

  it.each(['0.0.0.0', '::', '192.168.1.5', 'stock.example.com', '127.0.0.1.example.com'])(
    'knows that others reach %s',
    (HOST) => expect(Config.load({ HOST }).isLoopback).toBe(false),
  );
});
