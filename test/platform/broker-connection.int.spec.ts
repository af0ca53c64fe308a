import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Broker } from '../../src/platform/broker/broker';
import { BrokerConnection } from '../../src/platform/broker/broker-connection';
import { Config } from '../../src/platform/config';
import { OutOfReach } from '../../src/platform/event-log/subscriber';
import { describeWithRedis } from '../support/describe-with-redis';
import { RedisServer } from '../support/redis';
import { until } from '../support/replica';

describeWithRedis('The connection to Redis', () => {
  let redis: RedisServer;
  const connections: BrokerConnection[] = [];
  const connect = (url = redis.url, ...rest: [] | [(client: unknown) => Promise<unknown>]): BrokerConnection => {
    const connection = new BrokerConnection(url, 'test', ...rest);
    connections.push(connection);
    return connection;
  };

  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterEach(() => connections.splice(0).forEach((connection) => connection.close()));
  afterAll(() => redis.end());

  it('is opened when it is used, prepared, and used again', async () => {
    const prepare = jest.fn().mockResolvedValue(undefined);
    const connection = connect(redis.url, prepare);
    expect(prepare).not.toHaveBeenCalled();
    expect(await connection.use((client) => client.ping())).toBe('PONG');
    expect(await connection.use((client) => client.echo('again'))).toBe('again');
    expect(prepare).toHaveBeenCalledTimes(1);
  });

  it('says what an error was, and is opened anew afterwards', async () => {
    const prepare = jest.fn().mockResolvedValue(undefined);
    const connection = connect(redis.url, prepare);
    const failing = connection.use((client) => client.call('NO-SUCH-COMMAND'));
    await expect(failing).rejects.toThrow(OutOfReach);
    await expect(failing).rejects.toThrow(/unknown command/);
    expect(await connection.use((client) => client.ping())).toBe('PONG');
    expect(prepare).toHaveBeenCalledTimes(2);
  });

  it('says so where nobody listens, and goes on as soon as somebody does', async () => {
    const other = await RedisServer.start();
    const connection = connect(other.url);
    await connection.use((client) => client.ping());
    await other.kill();
    await expect(connection.use((client) => client.ping())).rejects.toThrow(OutOfReach);
    await expect(connection.use((client) => client.ping())).rejects.toThrow(/ECONNREFUSED/);
    await other.startAgain();
    expect(await connection.use((client) => client.ping())).toBe('PONG');
    await other.end();
  });

  it('waits for a server that never answers no longer than three seconds, and leaves nothing open', async () => {
    const sockets = new Set<Socket>();
    const mute: Server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
      socket.resume();
    });
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const url = `redis://127.0.0.1:${(mute.address() as AddressInfo).port}`;
    const began = performance.now();
    const broker = new Broker(Config.load({ REDIS_URL: url }));
    const answers = broker.answers();
    await expect(connect(url).use((client) => client.ping())).rejects.toThrow('Redis took longer than 3 s');
    expect(performance.now() - began).toBeLessThan(4_000);
    expect(await answers).toBe(false);
    broker.onApplicationShutdown();
    await until(() => sockets.size === 0);
    await new Promise((resolve) => mute.close(resolve));
  });
});
