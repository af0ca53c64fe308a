import { Controller, Get, Headers, Query, Res, StreamableFile } from '@nestjs/common';
import { ApiHeader, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { toCloudEvent } from '../event-log/cloud-event';
import { Endpoint, invalidRequest, json, overloaded } from '../http/endpoint';
import { InvalidRequest } from '../http/problem';
import { EventCatalogue } from './event-catalogue';
import { cursorOf } from './event-cursor';
import { EventFeed } from './event-feed';
import { EventStreams } from './event-streams';
import {
  cursorGone,
  eventExample,
  EventListQuery,
  EventPage,
  EventStreamQuery,
  invalidCursor,
  tooManyStreams,
} from './events.schema';

const order =
  'Events are told in the order of the log, in which those of a source and subject have the order of their `version`, and none ' +
  'appears before one that was told already. A cursor is good for ever, but for one that is younger than a backup from which ' +
  'the log was restored.';

@ApiTags('Events')
@Controller('v1/events')
export class EventsController {
  constructor(
    private readonly feed: EventFeed,
    private readonly streams: EventStreams,
    private readonly catalogue: EventCatalogue,
  ) {}

  @Get()
  @Endpoint('listEvents', {
    summary: 'Read what has happened',
    scope: 'events:read',
    description: `Go on with \`after\` from \`next\`, at once as long as there is \`more\`. ${order}`,
    answers: { 200: json('A page of events.', EventPage, eventExample.page) },
    problems: [invalidRequest, invalidCursor, cursorGone, overloaded],
  })
  async list(@Query({ schema: EventListQuery }) { after, types, limit }: EventListQuery): Promise<EventPage> {
    const wanted = this.known(types);
    const { at, cursor } = await this.feed.start(after);
    const { events, last, more } = await this.feed.read(at, limit, wanted);
    return { events: events.map(toCloudEvent), next: last ? cursorOf(last) : cursor, more };
  }

  @Get('stream')
  @ApiHeader({
    name: 'Last-Event-ID',
    required: false,
    description: 'Begin behind this cursor: the `id` of the event that was seen last.',
    schema: { type: 'string' },
  })
  @Endpoint('streamEvents', {
    summary: 'Follow what happens',
    scope: 'events:read',
    description:
      'Server-sent events: `id` is the cursor, `event` the type, `data` a CloudEvent. A client that comes again with ' +
      '`Last-Event-ID` goes on where it was; that header counts more than `after`. A client that does not take what it is sent ' +
      `for 30 s is cut off. ${order}`,
    answers: {
      200: {
        description: 'Events as they happen, and a sign of life every 15 s.',
        content: { 'text/event-stream': { schema: { type: 'string' }, example: eventExample.stream } },
        headers: {
          'x-accel-buffering': { description: 'Proxies must not hold it back.', schema: { type: 'string' } },
        },
      },
    },
    problems: [invalidRequest, invalidCursor, cursorGone, overloaded, tooManyStreams],
  })
  async stream(
    @Query({ schema: EventStreamQuery }) { after, types }: EventStreamQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StreamableFile> {
    const wanted = this.known(types);
    const { at } = await this.feed.start(lastEventId ?? after);
    const events = this.streams.open(at, wanted, reply.raw);
    reply.header('x-accel-buffering', 'no');
    return new StreamableFile(events, { type: 'text/event-stream; charset=utf-8' });
  }

  private known(types: string | undefined): string[] | undefined {
    const wanted = types?.split(',');
    const unknown = this.catalogue.unknownOf(wanted ?? []);
    if (unknown.length === 0) return wanted;
    throw new InvalidRequest(
      unknown.slice(0, 20).map((type) => ({ path: 'types', message: `there are no events of the type ${type}` })),
    );
  }
}
