import { type IQueryHandler, QueryHandler } from '@nestjs/cqrs';
import { Database, type Queryable } from '../../platform/database/database';
import { ExportLedger, GetLedger, type LedgerEntry, type LedgerPage } from '../contract/queries';
import { sentenceOf } from '../domain/stock-change';
import { StockHistory } from '../domain/stock-history';
import { type RecordedChange, replay } from './replay';

/** A change with the numbers that it changed. */
type CountedChange = RecordedChange & Pick<LedgerEntry, 'before' | 'after'>;

/**
 * The numbers in the middle of a ledger are known by counting from its beginning: a page costs time that grows with its
 * place, and the memory of a chunk.
 */
@QueryHandler(GetLedger)
export class GetLedgerHandler implements IQueryHandler<GetLedger> {
  constructor(private readonly database: Database) {}

  async execute({ sku, limit, order, behind, asOf }: GetLedger): Promise<LedgerPage | null> {
    const ledger = countedChanges(this.database, sku, asOf);
    const { found, known } = await (order === 'asc'
      ? first(ledger, limit + 1, behind)
      : last(ledger, limit + 1, behind));
    if (!known) return null;
    const entries = found.slice(0, limit).map(entryOf);
    return { sku, entries, next: found.length > limit ? entries.at(-1)!.version : null };
  }
}

@QueryHandler(ExportLedger)
export class ExportLedgerHandler implements IQueryHandler<ExportLedger> {
  constructor(private readonly database: Database) {}

  execute({ sku, asOf }: ExportLedger): Promise<AsyncIterable<readonly LedgerEntry[]>> {
    return Promise.resolve(this.entries(sku, asOf));
  }

  private async *entries(sku: string, asOf?: string): AsyncGenerator<readonly LedgerEntry[]> {
    for await (const changes of countedChanges(this.database, sku, asOf)) yield changes.map(entryOf);
  }
}

async function* countedChanges(database: Queryable, sku: string, asOf?: string): AsyncGenerator<CountedChange[]> {
  const history = new StockHistory(sku);
  let after = history.numbers;
  for await (const changes of replay(database, sku, asOf)) {
    yield changes.map(({ event, change }) => {
      const before = after;
      history.apply(event.version, change);
      after = history.numbers;
      return { event, change, before, after };
    });
  }
}

/** What a page is made of, and whether there was anything to look at. */
interface Found {
  readonly found: readonly CountedChange[];
  readonly known: boolean;
}

/** The first so many changes behind a version. */
async function first(ledger: AsyncIterable<CountedChange[]>, count: number, behind = 0): Promise<Found> {
  const found: CountedChange[] = [];
  let known = false;
  for await (const changes of ledger) {
    known = true;
    found.push(...changes.filter(({ event }) => event.version > behind));
    if (found.length >= count) break;
  }
  return { found: found.slice(0, count), known };
}

/** The last so many changes before a version, the last one first. */
async function last(ledger: AsyncIterable<CountedChange[]>, count: number, before = Infinity): Promise<Found> {
  let found: CountedChange[] = [];
  let known = false;
  for await (const changes of ledger) {
    known = true;
    found = [...found, ...changes.filter(({ event }) => event.version < before)].slice(-count);
    if (changes.at(-1)!.event.version >= before) break;
  }
  return { found: found.reverse(), known };
}

function entryOf({ event, change, before, after }: CountedChange): LedgerEntry {
  const { id: eventId, version, occurredAt, type, actor, correlationId, causationId } = event;
  const reason = sentenceOf(change);
  return { version, occurredAt, eventId, type, reason, actor, correlationId, causationId, before, after };
}
