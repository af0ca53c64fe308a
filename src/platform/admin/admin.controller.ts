import { Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { DomainError } from '../../kernel/domain-error';
import { Database } from '../database/database';
import { DeadLetters, type DeadLetter as StoredDeadLetter } from '../event-log/parked-events';
import { decodeCursor, encodeCursor } from '../http/cursor';
import { busy, Endpoint, invalidRequest, json, overloaded } from '../http/endpoint';
import { commandTransaction } from '../unit-of-work/command-transaction';
import {
  adminExample,
  DeadLetter,
  DeadLetterId,
  DeadLetterListQuery,
  DeadLetterPage,
  invalidCursor,
  PlaceOfDeadLetter,
  Replay,
  SubscriberList,
  unknownDeadLetter,
} from './admin.schema';
import { Subscriptions } from './subscriptions';

class UnknownDeadLetter extends DomainError {
  constructor(id: string) {
    super('unknown-dead-letter', 'not-found', `There is no dead letter ${id}.`, { id });
  }
}

const shown = (letter: StoredDeadLetter): DeadLetter => ({ ...letter, data: { ...letter.data } });

/** What an operator sees of the relay, and does about it; `batchwise subscribers` and `dead-letters` do the same. */
@ApiTags('Operations')
@Controller('v1/admin')
export class AdminController {
  constructor(
    private readonly database: Database,
    private readonly subscriptions: Subscriptions,
  ) {}

  @Get('subscribers')
  @Endpoint('listSubscribers', {
    summary: 'Show how far each subscriber of the event log is',
    description: 'Those of this version of the service, and others that the database remembers.',
    scope: 'ops',
    answers: { 200: json('All subscribers.', SubscriberList, adminExample.subscribers) },
    problems: [overloaded],
  })
  async subscribers(): Promise<SubscriberList> {
    return { subscribers: await this.subscriptions.standings() };
  }

  @Get('dead-letters')
  @Endpoint('listDeadLetters', {
    summary: 'List events that failed for the last time',
    description: 'Oldest first.',
    scope: 'ops',
    answers: { 200: json('A page of dead letters.', DeadLetterPage, adminExample.deadLetters) },
    problems: [invalidRequest, invalidCursor, overloaded],
  })
  async deadLetters(
    @Query({ schema: DeadLetterListQuery }) { subscriber, limit, cursor }: DeadLetterListQuery,
  ): Promise<DeadLetterPage> {
    const after = cursor === undefined ? undefined : decodeCursor(cursor, PlaceOfDeadLetter).id;
    const found = await DeadLetters.list(this.database, limit + 1, after, subscriber);
    const deadLetters = found.slice(0, limit).map(shown);
    return { deadLetters, next: found.length > limit ? encodeCursor({ id: deadLetters.at(-1)!.id }) : null };
  }

  @Get('dead-letters/:letterId')
  @Endpoint('getDeadLetter', {
    summary: 'Read a dead letter',
    scope: 'ops',
    answers: { 200: json('The dead letter.', DeadLetter, adminExample.deadLetter) },
    problems: [invalidRequest, unknownDeadLetter, overloaded],
  })
  async deadLetter(@Param('letterId', { schema: DeadLetterId }) id: string): Promise<DeadLetter> {
    const letter = await DeadLetters.find(this.database, id);
    if (!letter) throw new UnknownDeadLetter(id);
    return shown(letter);
  }

  @Post('dead-letters/:letterId/replay')
  @HttpCode(202)
  @Endpoint('replayDeadLetter', {
    summary: 'Have a dead letter tried again',
    description: 'From the first attempt on, within a second or so. What waits behind it follows once it is delivered.',
    scope: 'ops',
    answers: { 202: json('It will be tried.', Replay, adminExample.replay) },
    problems: [invalidRequest, unknownDeadLetter, ...busy],
  })
  async replay(@Param('letterId', { schema: DeadLetterId }) id: string): Promise<Replay> {
    await commandTransaction(this.database, async (transaction) => {
      if (!(await DeadLetters.replay(transaction, id))) throw new UnknownDeadLetter(id);
    });
    return { id, status: 'pending' };
  }

  @Post('dead-letters/:letterId/discard')
  @HttpCode(204)
  @Endpoint('discardDeadLetter', {
    summary: 'Give a dead letter up',
    description: 'It is never delivered to that subscriber, and what waits behind it goes on.',
    scope: 'ops',
    answers: { 204: { description: 'It is given up.', content: {} } },
    problems: [invalidRequest, unknownDeadLetter, ...busy],
  })
  async discard(@Param('letterId', { schema: DeadLetterId }) id: string): Promise<void> {
    await commandTransaction(this.database, async (transaction) => {
      if (!(await DeadLetters.discard(transaction, id))) throw new UnknownDeadLetter(id);
    });
  }
}
