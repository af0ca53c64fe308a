import { Controller, HttpCode, Post, Req, Res } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiBody, ApiConsumes, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Config } from '../../platform/config';
import { Endpoint } from '../../platform/http/endpoint';
import { streamAnswer } from '../../platform/http/streamed-answer';
import { restSkipped, streamedBody } from '../../platform/http/streamed-body';
import { Traffic } from '../../platform/http/traffic';
import { currentContext, inContext } from '../../platform/request-context';
import type { Allocate, Allocation } from '../contract/commands';
import { allocateLines, textOf } from './allocate-lines';
import { badStream, bulkExample } from './bulk.schema';

const ndjson = 'application/x-ndjson';
/** Lines under way at once: enough for a full group while another is being committed. */
const widest = 1_024;

@ApiTags('Allocations')
@Controller('v1/allocations')
export class BulkController {
  /** Others find room in the queue, too. */
  private readonly width: number;

  constructor(
    private readonly commands: CommandBus,
    private readonly traffic: Traffic,
    { queueMax }: Config,
  ) {
    this.width = Math.max(1, Math.min(widest, queueMax >> 2));
  }

  @Post('bulk')
  @HttpCode(200)
  @ApiConsumes(ndjson)
  @ApiBody({ schema: { type: 'string', example: bulkExample.lines } })
  @Endpoint('allocateBulk', {
    summary: 'Promise any number of order lines',
    description:
      'NDJSON in UTF-8: each line is what `POST /v1/allocations` takes, in at most 64 KiB; blank ones are skipped. The answer has ' +
      'one line for each, in their order and while the request goes on: `line`, its number, `status`, and `allocation` or ' +
      '`problem`, all as that operation would answer. Every line takes effect on its own; what is cut off may be sent again as ' +
      'a whole, since a line that was promised gets the same answer.\n\n' +
      'Read the answer while you send: the service reads no further than it can write. It ends a request of which nothing came, ' +
      'or whose answer was not taken, for 30 seconds. If it stops, the last line tells by 503 `stopping` from which line on ' +
      'nothing was read.',
    scope: 'allocate',
    streams: ndjson,
    answers: {
      200: {
        description: 'One result a line.',
        content: { [ndjson]: { schema: { type: 'string' }, example: bulkExample.results } },
      },
    },
    problems: badStream,
  })
  allocate(@Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    const context = currentContext();
    const allocate = (command: Allocate): Promise<Allocation> =>
      inContext(context, () => this.commands.execute<Allocate, Allocation>(command));
    const body = streamedBody(request, this.traffic.left);
    const results = allocateLines(body, allocate, { width: this.width, id: request.id });
    streamAnswer(reply, ndjson, textsOf(results, request));
  }
}

async function* textsOf(results: ReturnType<typeof allocateLines>, request: FastifyRequest): AsyncGenerator<string> {
  for await (const some of results) yield textOf(some);
  await restSkipped(request);
}
