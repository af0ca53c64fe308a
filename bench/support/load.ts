import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Requests over HTTP. */
export interface Load {
  /** Where to send them; each gets its share of the connections, from a generator of its own. */
  readonly urls: readonly string[];
  readonly connections: number;
  readonly seconds: number;
  /** What is posted: lines of these SKUs, one after another, each of a new order. Without them the URLs are read. */
  readonly skus?: readonly string[];
  /** Milliseconds that a connection pauses after an answer; of several ones on average, so that they come one by one. */
  readonly pause?: number;
}

export interface LoadReport {
  readonly perSecond: number;
  /** Requests that were answered with 2xx. */
  readonly acknowledged: number;
  readonly failed: number;
  /** Requests without an answer when the load ended, at most. */
  readonly unanswered: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

/** What a generator prints. */
export interface Measured {
  readonly requests: number;
  readonly failed: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

/** What a generator is told. */
export interface Generation {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly pause: number;
  /** A file with the SKUs, one a line; none: it reads. */
  readonly skus?: string;
  /** What its order ids begin with. */
  readonly run: string;
}

const run = promisify(execFile);
const hasWrk = spawnSync('wrk', ['--version']).error === undefined;
export const generator = hasWrk ? 'wrk' : 'autocannon';
let runs = 0;

/** Puts a service under load from a process of its own: `wrk` where it is installed, otherwise autocannon. */
export async function load({ urls, connections, seconds, skus, pause = 0 }: Load): Promise<LoadReport> {
  const directory = mkdtempSync(join(tmpdir(), 'batchwise-load-'));
  try {
    const file = skus && join(directory, 'skus');
    if (file) writeFileSync(file, skus.join('\n'));
    const reports = await Promise.all(
      urls.map((url) => {
        const share = connections / urls.length;
        const run = `${process.pid}-${Date.now()}-${(runs += 1)}`;
        const generation = { url, connections: share, seconds, pause, skus: file, run };
        return hasWrk ? wrk(generation, directory) : autocannon(generation);
      }),
    );
    const sum = (of: (one: Measured) => number): number => reports.reduce((total, one) => total + of(one), 0);
    return {
      perSecond: sum((one) => (one.requests - one.failed) / one.seconds),
      acknowledged: sum((one) => one.requests - one.failed),
      failed: sum((one) => one.failed),
      unanswered: connections,
      p50: Math.max(...reports.map((one) => one.p50)),
      p99: Math.max(...reports.map((one) => one.p99)),
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function wrk(generation: Generation, directory: string): Promise<Measured> {
  const { url, connections, seconds } = generation;
  const script = join(directory, `${generation.run}.lua`);
  writeFileSync(script, luaOf(generation));
  const { stdout } = await run('wrk', ['-t1', `-c${connections}`, `-d${Math.ceil(seconds)}s`, '-s', script, url]);
  return JSON.parse(stdout.slice(stdout.indexOf('{"requests"'))) as Measured;
}

const luaOf = ({ run, skus, pause, connections }: Generation): string => `
${skus ? postingLua(run, skus) : ''}
${pause > 0 ? `function delay() return ${pause}${connections > 1 ? ' * 2 * math.random()' : ''} end` : ''}
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"failed":%d,"seconds":%f,"p50":%f,"p99":%f}', summary.requests, errors.status,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
`;

const postingLua = (run: string, skus: string): string => `
local skus = {}
for sku in io.lines("${skus}") do skus[#skus + 1] = sku end
local sent = 0
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
function request()
  sent = sent + 1
  return wrk.format(nil, nil, nil, '{"orderId":"${run}-' .. sent .. '","sku":"' .. skus[sent % #skus + 1] .. '","qty":1}')
end
`;

async function autocannon(generation: Generation): Promise<Measured> {
  const { stdout } = await run(process.execPath, [join(__dirname, 'autocannon.js'), JSON.stringify(generation)]);
  return JSON.parse(stdout) as Measured;
}
