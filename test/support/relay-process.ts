import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/*
 * A replica's relay over the built service, with a projection and a reaction that write down what they are given, and by whom.
 * Where it is told to, it stops itself in the middle of one of them, as SIGSTOP from outside would, but at a known place.
 */
const program = `
  require('reflect-metadata');
  const [, dist, url, me, stopIn] = process.argv;
  const { DataSource } = require('typeorm');
  const { Registry } = require('prom-client');
  const { Logger } = require('@nestjs/common');
  const { Database } = require(dist + '/platform/database/database.js');
  const { dataSourceOptions } = require(dist + '/platform/database/data-source-options.js');
  const { LogSignal } = require(dist + '/platform/event-log/log-signal.js');
  const { Relay } = require(dist + '/platform/event-log/relay.js');
  const { Projection, Reaction } = require(dist + '/platform/event-log/subscriber.js');
  const { RelayMetrics } = require(dist + '/platform/metrics/relay-metrics.js');
  Logger.overrideLogger(false);
  class Happened { static type = 'test.happened.v1'; constructor(data) { this.data = data; } }
  let stopped = false;
  const stopHere = async (where) => {
    if (stopIn !== where || stopped) return;
    stopped = true;
    await new Promise((resolve) => process.send('stopping', resolve));
    process.kill(process.pid, 'SIGSTOP');
  };
  class Rows extends Projection {
    name = 'rows'; schema = 'model'; tables = ['rows']; events = [Happened];
    async project(events, transaction) {
      for (const { stream, version } of events) {
        await transaction.query({ text: 'INSERT INTO rows (stream, version, by) VALUES ($1, $2, $3)' }, [stream, version, me]);
        await stopHere('projection');
      }
    }
  }
  const options = dataSourceOptions(url);
  const source = new DataSource({ ...options, extra: { ...options.extra, idle_in_transaction_session_timeout: 300 } });
  source.initialize().then(() => {
    const database = new Database(source);
    class Handled {
      async handle({ origin: { stream, version } }) {
        await database.query({ text: 'INSERT INTO model.handled (stream, version, by) VALUES ($1, $2, $3)' }, [stream, version, me]);
        await stopHere('reaction');
      }
    }
    Reflect.defineMetadata('__eventsHandler__', [Happened], Handled);
    Reaction({ name: 'handled', afterLastAttempt: 'block' })(Handled);
    const providers = [new Rows(), new Handled()].map((instance) => ({ instance }));
    const relay = new Relay({ getProviders: () => providers }, database, new LogSignal(), new RelayMetrics(new Registry(), database));
    relay.onModuleInit();
    relay.leaseSeconds = 0.8;
    relay.start();
    process.once('disconnect', () => process.exit());
    process.send('ready');
  });`;

/** A replica of the relay in a process of its own. */
export class RelayProcess {
  private constructor(
    readonly child: ChildProcess,
    readonly stopping: Promise<unknown>,
  ) {}

  /** @param stopIn where it stops itself, once, with the first event */
  static async start(databaseUrl: string, name: string, stopIn?: 'projection' | 'reaction'): Promise<RelayProcess> {
    const root = join(__dirname, '../..');
    const args = ['-e', program, join(root, 'dist'), databaseUrl, name, ...(stopIn ? [stopIn] : [])];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    let tell: () => void = () => undefined;
    const stopping = new Promise<void>((resolve) => (tell = resolve));
    child.on('message', (message) => {
      if (message === 'stopping') tell();
    });
    await once(child, 'message');
    return new RelayProcess(child, stopping);
  }

  /** Lets it go on after it was stopped. */
  resume(): void {
    this.child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }
}
