import { Controller, Get, Header, Param } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { ApiExcludeController } from '@nestjs/swagger';
import { z } from 'zod';
import { dataSchemaOf } from '../event-log/cloud-event';
import { license, version } from '../http/docs';
import { HttpError } from '../http/problem';
import { providersOf } from '../providers';
import { asyncApiDocument, Channels, dataReference, payloadOf } from './async-api';
import { EventCatalogue } from './event-catalogue';
import { CloudEvent } from './events.schema';

/** Documents about messages, beside the explorer: they tell what the service can do, and show no data. */
@ApiExcludeController()
@Controller('docs')
export class AsyncApiController {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly catalogue: EventCatalogue,
  ) {}

  @Get('asyncapi.json')
  asyncApi(): object {
    const channels = providersOf(this.discovery, Channels).flatMap((module) => module.channels);
    return asyncApiDocument({ version, license }, channels, this.schemas());
  }

  @Get('events/:file')
  @Header('content-type', 'application/schema+json')
  schema(@Param('file') file: string): object {
    const document = file.endsWith('.json') && this.catalogue.documentOf(file.slice(0, -'.json'.length));
    if (!document) throw new HttpError(404, 'unknown-event-type', 'There are no events of this type.');
    return document;
  }

  /** Of the data of each kind of event, and of the event as it is told. */
  private schemas(): Record<string, object> {
    const events = this.catalogue.types.flatMap((type): [string, object][] => [
      [type, payloadOf(this.catalogue.schemaOf(type)!)],
      [`${type}.event`, eventOf(type)],
    ]);
    return Object.fromEntries([['CloudEvent', payloadOf(z.object(CloudEvent.shape))], ...events]);
  }
}

const eventOf = (type: string): object => ({
  allOf: [
    { $ref: '#/components/schemas/CloudEvent' },
    {
      type: 'object',
      properties: { type: { const: type }, dataschema: { const: dataSchemaOf(type) }, data: dataReference(type) },
    },
  ],
});
