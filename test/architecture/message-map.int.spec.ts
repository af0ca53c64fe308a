import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Type } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { DomainEvent } from '../../src/kernel/event';
import { BrokerMessage } from '../../src/platform/broker/broker-message';
import { Relay } from '../../src/platform/event-log/relay';
import { type EventClass, revive, type StoredEvent } from '../../src/platform/event-log/stored-event';
import { Projection, Publisher, Reaction } from '../../src/platform/event-log/subscriber';
import { providersOf } from '../../src/platform/providers';
import { startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';

const root = join(__dirname, '../../src');

/** The event classes of every module's contract. */
const eventClasses = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => /^[^/]+\/contract\/.*events\.ts$/.test(path))
  .flatMap((path) => Object.values(jest.requireActual<Record<string, unknown>>(join(root, path))))
  .filter((value): value is EventClass => typeof value === 'function' && value.prototype instanceof DomainEvent);

describe('The messages of the service', () => {
  let database: TestDatabase;
  let app: NestFastifyApplication;

  beforeAll(async () => {
    database = await freshDatabase();
    // Named and never asked: only workers speak to it.
    app = await startService(database.url, { REDIS_URL: 'redis://127.0.0.1:1' });
  });

  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  const handled = (key: string): string[] => {
    const found: string[] = [];
    for (const { metatype } of app.get(DiscoveryService, { strict: false }).getProviders()) {
      const message = typeof metatype === 'function' && (Reflect.getMetadata(key, metatype) as Type | undefined);
      if (message) found.push(`${message.name} -> ${metatype.name}`);
    }
    return found.sort();
  };

  /** The subscribers of each type of event, in the words of the log. */
  const subscriptions = (): string[] => {
    const providers = app.get(DiscoveryService, { strict: false }).getProviders();
    const lines = new Set<string>();
    for (const instance of new Set(providers.map((provider): unknown => provider.instance))) {
      if (instance instanceof Projection || instance instanceof Publisher) {
        const kind = instance instanceof Projection ? 'projection' : 'publisher';
        for (const { type } of instance.events ?? eventClasses) lines.add(`${type} -> ${kind} ${instance.name}`);
      } else if (typeof instance === 'object' && typeof instance?.constructor === 'function') {
        const events = Reflect.getMetadata('__eventsHandler__', instance.constructor) as EventClass[] | undefined;
        const reaction = Reflect.getMetadata(Reaction.KEY, instance.constructor) as { name: string } | undefined;
        for (const { type } of events ?? []) lines.add(`${type} -> reaction ${reaction!.name}`);
      }
    }
    return [...lines].sort();
  };

  const taken = (): string[] =>
    providersOf(app.get(DiscoveryService, { strict: false }), BrokerMessage)
      .map((kind) => `${kind.type} -> ${kind.constructor.name}${kind.channel ? `, and channel ${kind.channel}` : ''}`)
      .sort();

  it('have these handlers and subscribers, and no others', () => {
    expect(handled('__commandHandler__')).toMatchSnapshot('commands');
    expect(handled('__queryHandler__')).toMatchSnapshot('queries');
    expect(subscriptions()).toMatchSnapshot('events');
    expect(taken()).toMatchSnapshot('messages from the broker');
    const names = subscriptions().map((text) => text.split(' ').at(-1)!);
    expect(app.get(Relay).names).toEqual([...new Set(names)].sort());
  });

  it('have a type of their own each, by which they are revived from the log', () => {
    expect(eventClasses.length).toBeGreaterThan(0);
    const types = eventClasses.map(({ type }) => type);
    expect(new Set(types).size).toBe(types.length);
    for (const eventClass of eventClasses) {
      expect(eventClass.type).toMatch(/^[a-z]+\.[a-z]+(-[a-z]+)*\.v[1-9]\d*$/);
      const place = { id: 'an id', stream: 'product:A', version: 3, occurredAt: 'then', actor: 'someone' };
      const stored = {
        ...place,
        type: eventClass.type,
        data: { sku: 'A' },
        correlationId: null,
      } as unknown as StoredEvent;
      const event = revive(stored, eventClass);
      expect(event).toBeInstanceOf(eventClass);
      expect(event.type).toBe(eventClass.type);
      expect(event.data).toEqual({ sku: 'A' });
      expect(event.origin).toEqual({ ...place, correlationId: null });
    }
  });
});
