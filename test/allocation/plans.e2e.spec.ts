import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule, modules } from '../../src/app.module';
import { runCommandLine } from '../../src/platform/cli/command-line';
import { startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';

describe('What would happen if', () => {
  let db: TestDatabase;
  let app: NestFastifyApplication;
  const folder = mkdtempSync(join(tmpdir(), 'batchwise-plan-'));

  beforeAll(async () => {
    db = await freshDatabase();
    app = await startService(db.url);
    await post('/v1/batches', { ref: 'b1', sku: 'TABLE', qty: 10, eta: '2031-01-01' });
    await post('/v1/batches', { ref: 'b2', sku: 'TABLE', qty: 10, eta: '2031-02-01' });
    await post('/v1/allocations', { orderId: 'o1', sku: 'TABLE', qty: 6 });
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await app.close();
    await db.drop();
  });

  const post = (url: string, payload: object) => app.inject({ method: 'POST', url, payload });
  const plan = (changes: object[], more: object = {}) => post('/v1/plans', { changes, ...more });
  const events = async () =>
    (await (await db.client()).query<{ n: string }>('SELECT count(*) AS n FROM platform.event')).rows[0]!.n;

  describe('a line were allocated', () => {
    it('is explained', async () => {
      const answer = await post('/v1/allocations/explain', { orderId: 'o2', sku: 'TABLE', qty: 5, priority: 3 });
      expect(answer.statusCode).toBe(200);
      expect(answer.json()).toMatchObject({
        allocation: { orderId: 'o2', lineId: '1', status: 'promised', batchRef: 'b2', priority: 3, repeated: false },
        policy: 'warehouse-first',
        reason: 'best-fit',
        candidates: [
          { batchRef: 'b1', available: 4, passedOver: { reason: 'too-small' } },
          { batchRef: 'b2', available: 10, chosen: true },
        ],
      });
      expect((await app.inject('/v1/orders/o2')).statusCode).toBe(404);
    });

    it.each([
      [{ orderId: 'o2', sku: 'CHAIR', qty: 1 }, 404, 'unknown-sku'],
      [{ orderId: 'o1', sku: 'TABLE', qty: 1 }, 409, 'line-already-allocated'],
      [{ orderId: 'o2', sku: 'TABLE', qty: 0 }, 400, 'invalid-request'],
      [{ orderId: 'o2', sku: 'TABLE', qty: 1, batch: 'b1' }, 400, 'invalid-request'],
      [[], 400, 'invalid-request'],
    ])('%j is answered with %d %s', async (body, status, code) => {
      const answer = await post('/v1/allocations/explain', body);
      expect([answer.statusCode, answer.json().code]).toEqual([status, code]);
    });
  });

  describe('changes were made', () => {
    it('is planned, for changes of every kind', async () => {
      const before = await events();
      const answer = await plan([
        { type: 'change-batch', ref: 'b1', eta: '2031-03-01' },
        { type: 'create-batch', ref: 'b3', sku: 'CHAIR', qty: 3 },
        {
          type: 'allocate-order',
          orderId: 'o2',
          lines: [
            { sku: 'CHAIR', qty: 2 },
            { sku: 'TABLE', qty: 50 },
          ],
          mode: 'partial',
          whenOutOfStock: 'backorder',
        },
        { type: 'amend-line', orderId: 'o2', sku: 'CHAIR', qty: 3 },
        { type: 'allocate', orderId: 'o3', sku: 'TABLE', qty: 3 },
        { type: 'cancel-batch', ref: 'b9' },
        { type: 'release-line', orderId: 'o3', sku: 'TABLE' },
        { type: 'release-order', orderId: 'o9' },
      ]);
      expect(answer.statusCode).toBe(200);
      const { policy, outcomes, lines } = answer.json();
      expect(policy).toBe('warehouse-first');
      expect(outcomes.map((one: { number: number; problem: object | null }) => [one.number, one.problem])).toEqual([
        ...[1, 2, 3, 4, 5].map((number) => [number, null]),
        [
          6,
          {
            type: 'urn:batchwise:problem:unknown-batch',
            title: 'Unknown batch',
            code: 'unknown-batch',
            detail: 'There is no batch b9.',
            ref: 'b9',
          },
        ],
        [7, null],
        [8, null],
      ]);
      expect(outcomes[4]).toMatchObject({ type: 'allocate', result: { status: 'refused' } });
      expect(lines).toMatchObject([
        { orderId: 'o2', sku: 'CHAIR', before: null, after: { qty: 3, status: 'promised', batchRef: 'b3', eta: null } },
        {
          orderId: 'o1',
          sku: 'TABLE',
          before: { batchRef: 'b1', eta: '2031-01-01' },
          after: { batchRef: 'b2', eta: '2031-02-01' },
        },
        { orderId: 'o2', sku: 'TABLE', before: null, after: { qty: 50, status: 'backordered' } },
        { orderId: 'o3', sku: 'TABLE', before: null, after: { status: 'refused' } },
      ]);
      expect(await events()).toBe(before);
    });

    it('may be decided by another policy', async () => {
      const changes = [{ type: 'allocate', orderId: 'o2', sku: 'TABLE', qty: 1 }];
      const refs = await Promise.all(
        ['warehouse-first', 'earliest-eta-then-smallest-fit', 'latest-eta'].map(async (policy) => {
          const { lines, ...told } = (await plan(changes, { policy })).json();
          expect(told.policy).toBe(policy);
          return lines[0].after.batchRef as string;
        }),
      );
      expect(refs).toEqual(['b1', 'b1', 'b2']);
    });

    const release = { type: 'release-order', orderId: 'o1' };
    const order = (i: number) => ({
      type: 'allocate-order',
      orderId: `o${i}`,
      lines: Array.from({ length: 300 }, (_, line) => ({ sku: 'TABLE', lineId: `${line}`, qty: 1 })),
    });
    it.each<[string, object, string]>([
      ['no change', { changes: [] }, 'invalid-request'],
      ['too many changes', { changes: Array(101).fill(release) }, 'invalid-request'],
      ['too many lines', { changes: [1, 2, 3, 4].map(order) }, 'invalid-request'],
      ['a change of no kind', { changes: [{ orderId: 'o1' }] }, 'invalid-request'],
      ['a change of another kind', { changes: [{ ...release, type: 'destroy' }] }, 'invalid-request'],
      ['a change with something else', { changes: [{ ...release, sku: 'TABLE' }] }, 'invalid-request'],
      ['a change of nothing', { changes: [{ type: 'change-batch', ref: 'b1' }] }, 'invalid-request'],
      ['something else', { changes: [release], dryRun: true }, 'invalid-request'],
      ['a policy of no name', { changes: [release], policy: '' }, 'invalid-request'],
      ['a policy that is not there', { changes: [release], policy: 'cheapest' }, 'unknown-policy'],
    ])('is refused with %s', async (_, body, code) => {
      const answer = await post('/v1/plans', body);
      expect([answer.statusCode, answer.json().code]).toEqual([400, code]);
    });
  });

  describe('can be asked on the command line:', () => {
    const runCli = async (...args: string[]): Promise<{ code: number; out: string; err: string }> => {
      let out = '';
      let err = '';
      const env = { DATABASE_URL: db.url, ALLOW_UNSAFE_DURABILITY: 'true', LOG_LEVEL: 'error' };
      const application = AppModule.forRoot.bind(AppModule);
      const code = await runCommandLine({ version: '1.2.3', modules, application, outside: [] }, args, env, {
        out: (text) => void (out += `${text}\n`),
        note: (text) => void (err += `${text}\n`),
        progress: () => ({ update: () => undefined, end: () => undefined }),
      });
      return { code, out, err };
    };

    it('why a batch', async () => {
      expect(await runCli('explain', 'o2', 'TABLE', '5')).toEqual({
        code: 0,
        err: '',
        out: [
          'Line 1 of order o2, 5 of TABLE: promised from b2 (2031-02-01).',
          'b2 is the only batch that can take all 5. (policy warehouse-first)',
          '',
          'batch  eta         available',
          'b1     2031-01-01  4          b1 has 4 left, the line needs 5.',
          'b2     2031-02-01  10         chosen',
          '',
        ].join('\n'),
      });
      const { out } = await runCli('explain', 'o2', 'TABLE', '50', '--backorder', '--json');
      expect(JSON.parse(out)).toMatchObject({ allocation: { status: 'backordered' }, reason: 'nothing-fits' });
    });

    it('what a plan does', async () => {
      const file = join(folder, 'plan.json');
      const changes = [
        { type: 'change-batch', ref: 'b1', eta: '2031-03-01' },
        { type: 'allocate', orderId: 'o2', sku: 'TABLE', qty: 4 },
        { type: 'cancel-batch', ref: 'b9' },
      ];
      writeFileSync(file, JSON.stringify({ changes }));
      expect(await runCli('plan', file)).toEqual({
        code: 0,
        err: '',
        out: [
          'Policy: warehouse-first',
          '',
          '1  change-batch  done',
          '2  allocate      promised from b2 (2031-02-01)',
          '3  cancel-batch  refused: There is no batch b9.',
          '',
          '2 order lines would stand otherwise.',
          'order  line  sku    qty  now                            then',
          'o1     1     TABLE  6    promised from b1 (2031-01-01)  promised from b2 (2031-02-01)',
          'o2     1     TABLE  4    not there                      promised from b2 (2031-02-01)',
          '',
        ].join('\n'),
      });
      const { out } = await runCli('plan', file, '--json', '--policy', 'latest-eta');
      expect(JSON.parse(out)).toMatchObject({ policy: 'latest-eta', lines: [{}, { after: { batchRef: 'b1' } }] });
    });

    it('and is refused where it makes no sense', async () => {
      const file = join(folder, 'no-plan.json');
      writeFileSync(file, JSON.stringify({ changes: [{ type: 'destroy' }] }));
      const runs = await Promise.all([
        runCli('plan', file),
        runCli('plan', join(folder, 'nothing.json')),
        runCli('explain', 'o2', 'CHAIR', '5'),
        runCli('explain', 'o2', 'TABLE', 'five'),
      ]);
      expect(runs).toMatchObject([
        { code: 1, out: '', err: expect.stringContaining('it is no plan') },
        { code: 1, out: '', err: expect.stringContaining('nothing.json cannot be read') },
        { code: 1, out: '', err: 'Invalid sku CHAIR\n' },
        { code: 2, out: '', err: expect.stringContaining('Usage: batchwise explain') },
      ]);
    });
  });
});
