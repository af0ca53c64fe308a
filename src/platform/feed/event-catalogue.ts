import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { z } from 'zod';
import type { DomainEvent } from '../../kernel/event';
import { dataSchemaOf } from '../event-log/cloud-event';
import { providersOf } from '../providers';

/** What the data of a kind of event looks like. */
export interface EventSchema {
  /** The wire name and version: `allocation.allocated.v1`. */
  readonly type: string;
  readonly schema: z.ZodType;
}

/** The schema of an event class. Other data is another version, so a schema that was published stays as it is. */
export const schemaOf = <Event extends DomainEvent>(
  event: { readonly type: string; readonly prototype: Event },
  schema: z.ZodType<Event['data']>,
): EventSchema => ({ type: event.type, schema });

/** The schemas of a module's events, of all versions that the log may hold. A provider that extends it is found by the catalogue. */
export abstract class EventSchemas {
  abstract readonly events: readonly EventSchema[];
}

/** The kinds of events of all modules. */
@Injectable()
export class EventCatalogue implements OnModuleInit {
  readonly #schemas = new Map<string, z.ZodType>();

  constructor(private readonly discovery: DiscoveryService) {}

  /** @throws if two schemas are of one type */
  onModuleInit(): void {
    const all = providersOf(this.discovery, EventSchemas).flatMap(({ events }) => events);
    for (const { type, schema } of all) {
      if (this.#schemas.has(type)) throw new Error(`there are two schemas of the event ${type}`);
      this.#schemas.set(type, schema);
    }
  }

  /** In the order of their names. */
  get types(): string[] {
    return [...this.#schemas.keys()].sort();
  }

  /** Those of which there are no events. */
  unknownOf(types: readonly string[]): string[] {
    return types.filter((type) => !this.#schemas.has(type));
  }

  schemaOf(type: string): z.ZodType | undefined {
    return this.#schemas.get(type);
  }

  /** The JSON Schema of the data of a kind of event, as a document of its own; undefined: there is none. */
  documentOf(type: string): object | undefined {
    const schema = this.#schemas.get(type);
    if (!schema) return undefined;
    const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input' });
    return { $schema, $id: dataSchemaOf(type), title: type, ...rest };
  }
}
