import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freshDatabase, type TestDatabase } from '../support/database';
import { endAllServers, type RunningServer, startServer } from '../support/server';

const root = join(__dirname, '../..');
const guide = readFileSync(join(root, 'docs/guide.md'), 'utf8');

/** Commands of the guide and the answer below them, if one is shown. */
interface Step {
  readonly commands: string;
  readonly answer?: { readonly kind: 'json' | 'text'; readonly shown: string };
}

interface Story {
  readonly title: string;
  readonly steps: readonly Step[];
}

const [preface, ...chapters] = guide.split(/^## /m);
const preparation = stepsOf(preface!);
const stories: readonly Story[] = chapters.map((text) => ({ title: text.split('\n')[0]!, steps: stepsOf(text) }));

/** A command that only reads is asked again for this long (milliseconds) until it shows what the guide shows. */
const patience = 20_000;
const reads = /^(?:api GET |grep |npx batchwise (?:stock|availability|ledger) )\S.*$/;

describe('The guide', () => {
  let folder: string;
  let db: TestDatabase;
  let server: RunningServer;
  let terminal: TestTerminal;
  /** Commands and answers of the guide, at the addresses of this test. */
  let here: (text: string) => string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'batchwise-guide-'));
    db = await freshDatabase();
    const env = { DATABASE_URL: db.url, ALLOW_UNSAFE_DURABILITY: 'true', WEBHOOK_ALLOW: '127.0.0.1' };
    server = await startServer(env);
    const listener = await freePort();
    here = (text) =>
      text
        .replaceAll('http://127.0.0.1:3000', server.url)
        .replaceAll('3001', String(listener))
        .replaceAll('npx batchwise', `'${process.execPath}' '${join(root, 'dist/cli.js')}'`);
    terminal = new TestTerminal(folder, env);
    for (const { commands } of preparation) await terminal.run(here(commands));
  });
  afterAll(async () => {
    terminal.close();
    await server.end('SIGTERM');
    endAllServers();
    await db.drop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('has four stories, and shows what most commands answer', () => {
    expect(stories.map(({ title }) => title)).toHaveLength(4);
    for (const { steps } of stories) expect(steps.filter(({ answer }) => answer).length).toBeGreaterThan(4);
  });

  it.each(stories)(
    '$title: happens as it is told',
    async ({ steps }) => {
      for (const { commands, answer } of steps) {
        const fits = (printed: string) => !answer || shows({ ...answer, shown: here(answer.shown) }, printed);
        let printed = await terminal.run(here(commands));
        for (const end = Date.now() + patience; !fits(printed) && reads.test(commands) && Date.now() < end;) {
          await pause(100);
          printed = await terminal.run(here(commands));
        }
        if (!fits(printed)) throw new Error(`${commands}\n\nprinted\n\n${printed}\n\ninstead of\n\n${answer!.shown}`);
      }
    },
    120_000,
  );
});

describe('What counts as shown by the guide', () => {
  const json = (shown: object, printed: object) =>
    shows({ kind: 'json', shown: JSON.stringify(shown) }, JSON.stringify(printed));
  const text = (shown: string, printed: string) => shows({ kind: 'text', shown }, printed);

  it('is JSON with at least the members that are shown', () => {
    expect(json({ a: 1 }, { a: 1, b: 2 })).toBe(true);
    expect(json({ a: '…' }, { a: 'anything' })).toBe(true);
    expect(json({ a: [{ b: 1 }] }, { a: [{ b: 1, c: 2 }] })).toBe(true);
    expect(json({ a: 1 }, { a: 2 })).toBe(false);
    expect(json({ a: 1 }, { b: 1 })).toBe(false);
    expect(json({ a: '…' }, { b: 1 })).toBe(false);
    expect(json({ a: [] }, { a: [1] })).toBe(false);
    expect(json({ a: [{ b: 1 }] }, { a: [{ b: 1 }, { b: 2 }] })).toBe(false);
  });

  it('is text but for spaces, and for what … stands for', () => {
    expect(text('1  … b', '1 2026 b  ')).toBe(true);
    expect(text('a\n…\nd', 'a\nb\nc\nd\n')).toBe(true);
    expect(text('a (+1)', 'a (+2)')).toBe(false);
    expect(text('a', 'a\nb')).toBe(false);
  });
});

/** A shell that stays, as a reader's does: variables and functions hold from command to command. */
class TestTerminal {
  private readonly shell: ChildProcessWithoutNullStreams;
  private printed = '';
  private runs = 0;

  constructor(folder: string, env: Record<string, string>) {
    const { PATH, HOME } = process.env;
    this.shell = spawn('sh', [], { cwd: folder, env: { PATH, HOME, ...env }, detached: true });
    this.shell.stdout.on('data', (text) => (this.printed += String(text)));
    this.shell.stderr.on('data', (text) => (this.printed += String(text)));
  }

  /** @returns what the commands printed */
  async run(commands: string): Promise<string> {
    const end = `-- end of ${(this.runs += 1)} --`;
    this.printed = '';
    this.shell.stdin.write(`${commands}\necho; echo '${end}'\n`);
    while (!this.printed.includes(end)) {
      if (this.shell.exitCode !== null) throw new Error(`the shell ended: ${this.printed}`);
      await pause(10);
    }
    return this.printed.slice(0, this.printed.indexOf(end));
  }

  /** Ends the shell and whatever it left running. */
  close(): void {
    process.kill(-this.shell.pid!, 'SIGKILL');
  }
}

/** Blocks of `sh`, each with the block of `json` or `text` that follows it. */
function stepsOf(markdown: string): Step[] {
  const steps: Step[] = [];
  for (const [, kind, content] of markdown.matchAll(/^```(sh|json|text)\n(.*?)^```$/gms)) {
    if (kind === 'sh') steps.push({ commands: content!.trim() });
    else steps.push({ ...steps.pop()!, answer: { kind: kind as 'json' | 'text', shown: content! } });
  }
  return steps;
}

function shows({ kind, shown }: NonNullable<Step['answer']>, printed: string): boolean {
  if (kind === 'text') return textPattern(shown).test(printed);
  try {
    return contains(JSON.parse(printed), JSON.parse(shown));
  } catch {
    return false;
  }
}

/** Spaces count as one; `…` stands for anything. */
function textPattern(shown: string): RegExp {
  const escaped = shown.trim().replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(
    `^\\s*${escaped
      .replace(/\s*…\s*/g, '…')
      .replace(/\s+/g, '\\s+')
      .replaceAll('…', '.*')}\\s*$`,
    's',
  );
}

/** Objects may have further members, lists no further elements; "…" is any value. */
function contains(value: unknown, shown: unknown): boolean {
  if (shown === '…') return value !== undefined;
  if (shown === null || typeof shown !== 'object') return value === shown;
  if (value === null || typeof value !== 'object') return false;
  if (Array.isArray(shown))
    return (
      Array.isArray(value) && value.length === shown.length && shown.every((one, place) => contains(value[place], one))
    );
  return Object.entries(shown).every(([name, one]) => contains((value as Record<string, unknown>)[name], one));
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
