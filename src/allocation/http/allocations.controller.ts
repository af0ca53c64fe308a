import { Body, Controller, Post, Res } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { badBody, busy, Endpoint, json } from '../../platform/http/endpoint';
import { Allocate, type Allocation } from '../contract/commands';
import { statusOf } from './allocation-answer';
import { AllocationRequest } from './allocations.schema';
import { AllocatedLine, lineAlreadyAllocated, lineExample, outOfStock, unknownSku } from './line.schema';

const { promised, backordered } = lineExample;

@ApiTags('Allocations')
@Controller('v1/allocations')
export class AllocationsController {
  constructor(private readonly commands: CommandBus) {}

  @Post()
  @Endpoint('allocate', {
    summary: 'Promise an order line',
    scope: 'allocate',
    description:
      'Promises the line to one batch: stock in the warehouse first, then what arrives earliest. The same line again gets the ' +
      'same answer.',
    answers: {
      201: json('Promised.', AllocatedLine, { ...promised, repeated: false }),
      200: json('It was promised before.', AllocatedLine, { ...promised, repeated: true }),
      202: json('It waits for stock.', AllocatedLine, { ...backordered, repeated: false }),
    },
    problems: [...badBody, unknownSku, outOfStock, lineAlreadyAllocated, ...busy],
  })
  async allocate(
    @Body({ schema: AllocationRequest }) body: AllocationRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Allocation> {
    const { whenOutOfStock, priority, ...line } = body;
    const allocation = await this.commands.execute<Allocate, Allocation>(
      new Allocate(line, { whenOutOfStock, priority }),
    );
    reply.status(statusOf(allocation));
    return allocation;
  }
}
