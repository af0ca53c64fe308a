import { Controller, Get, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { DomainError } from '../../kernel/domain-error';
import { UnreadableFile } from '../../platform/csv/csv-records';
import { decodeCursor, encodeCursor } from '../../platform/http/cursor';
import {
  badBody,
  busy,
  Endpoint,
  invalidRequest,
  json,
  locationHeader,
  overloaded,
} from '../../platform/http/endpoint';
import { HttpError } from '../../platform/http/problem';
import { streamedBody } from '../../platform/http/streamed-body';
import { ImportWorker } from '../messaging/import-worker';
import { type ImportPlan, ImportWork } from '../messaging/import-work';
import { Imports, type ImportState } from '../messaging/imports';
import { SupplierFiles } from '../messaging/supplier-files';
import { invalidCursor } from './batches.schema';
import {
  Import,
  importAborted,
  ImportAnswer,
  importExample,
  ImportId,
  ImportQuery,
  ImportWithRejects,
  notCsv,
  RejectPlace,
  RejectsQuery,
  unknownImport,
  unreadableFile,
} from './imports.schema';

class UnknownImport extends DomainError {
  constructor(id: string) {
    super('unknown-import', 'not-found', `There is no import ${id}.`, { id });
  }
}

const csv = 'text/csv';

@ApiTags('Imports')
@Controller('v1/stock/imports')
export class ImportsController {
  constructor(
    private readonly files: SupplierFiles,
    private readonly imports: Imports,
    private readonly work: ImportWork,
    private readonly worker: ImportWorker,
  ) {}

  @Post()
  @ApiConsumes(csv)
  @ApiBody({ schema: { type: 'string', example: importExample.csv } })
  @Endpoint('importStock', {
    summary: 'Take in a supplier’s file of batches',
    description:
      'CSV (RFC 4180) in UTF-8 with the columns ref, sku, qty and eta, in any order; no eta: it is in the warehouse. Batches are ' +
      'created, or changed to what the file says; a row that cannot be applied is rejected, and the others go on. The rows are ' +
      'kept while they arrive and applied behind the answer; a file that breaks off is not applied at all, and a content that ' +
      'was applied before is not applied again.',
    scope: 'stock:write',
    streams: csv,
    answers: {
      202: json('Received; it is being applied.', Import, importExample.received, locationHeader),
      200: json('It was applied before, or was a dry run.', ImportAnswer, importExample.applied, locationHeader),
    },
    problems: [...badBody.filter(({ status }) => status !== 415), notCsv, unreadableFile, importAborted, ...busy],
  })
  async receive(
    @Query({ schema: ImportQuery }) { dryRun, again, name }: ImportQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ImportState | ImportPlan> {
    const { id, digest } = await this.files
      .receive(name, streamedBody(request), { dryRun: dryRun === 'true' })
      .catch(asProblem);
    if (dryRun === 'true') {
      reply.status(200);
      return this.work.plan(id).finally(() => this.imports.abort(id, 'it was a dry run'));
    }
    const applying = await this.imports.seal(id, digest, { again: again === 'true' });
    this.worker.announce();
    const state = await this.find(applying);
    reply.status(state.status === 'applying' ? 202 : 200).header('location', `/v1/stock/imports/${applying}`);
    return state;
  }

  // Only what may be an id, because a SKU may be called `imports`: `/v1/stock/imports/ledger` is that SKU's.
  @Get(':id(^[0-9a-fA-F-]{36}$)')
  @Endpoint('getImport', {
    summary: 'See how far an import is, and which rows it rejected',
    scope: 'stock:read',
    answers: { 200: json('The import, with a page of rejected rows.', ImportWithRejects, importExample.progress) },
    problems: [invalidRequest, invalidCursor, unknownImport, overloaded],
  })
  async get(
    @Param('id', { schema: ImportId }) id: string,
    @Query({ schema: RejectsQuery }) { limit, cursor }: RejectsQuery,
  ): Promise<ImportWithRejects> {
    const after = cursor === undefined ? 0 : decodeCursor(cursor, RejectPlace).line;
    const state = await this.find(id);
    const found = await this.imports.rejectsAfter(id, after, limit + 1);
    const rejects = found.slice(0, limit);
    const next = found.length > limit ? encodeCursor({ line: rejects.at(-1)!.line }) : null;
    return { ...state, rejects, next };
  }

  private async find(id: string): Promise<ImportState> {
    const state = await this.imports.find(id);
    if (!state) throw new UnknownImport(id);
    return state;
  }
}

/** @throws the problem that the client is told */
function asProblem(error: unknown): never {
  if (error instanceof UnreadableFile)
    throw new HttpError(400, 'unreadable-file', `The file cannot be read: ${error.message}.`);
  // Nobody is there any more to be told, but this is no failure of the service.
  if ((error as NodeJS.ErrnoException).code === 'ECONNRESET')
    throw new HttpError(400, 'upload-aborted', 'The upload broke off; nothing of it is applied.');
  throw error;
}
