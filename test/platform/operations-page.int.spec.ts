import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { parse } from 'yaml';
import { startService } from '../support/app';
import { freshDatabase, type TestDatabase } from '../support/database';

const read = (path: string): string => readFileSync(join(__dirname, '../..', path), 'utf8');

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

const alerts = (parse(read('deploy/alerts.yml')) as { groups: { rules: Alert[] }[] }).groups.flatMap(
  ({ rules }) => rules,
);
const { panels } = JSON.parse(read('deploy/grafana-dashboard.json')) as { panels: Panel[] };
const expressions = [
  ...alerts.map(({ expr }) => expr),
  ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
];

const words = new Set('sum max min avg by rate increase histogram_quantile and or unless on'.split(' '));

/** The metrics that an expression of Prometheus names: what is no label, no function and no word of the language. */
function metricsIn(expression: string): string[] {
  const bare = expression
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]|"[^"]*"/g, ' ')
    .replaceAll(/\boffset \w+/g, ' ')
    .replaceAll(/\b(?:by|without|on|group_left)\s*\([^)]*\)/g, ' ');
  return (bare.match(/[a-z_:][a-z0-9_:]*/gi) ?? []).filter((name) => !words.has(name));
}

describe('What an operator is told', () => {
  let test: TestDatabase;
  let app: NestFastifyApplication;
  let metrics: string;

  beforeAll(async () => {
    test = await freshDatabase();
    app = await startService(test.url);
    metrics = (await app.inject('/metrics')).body;
  });

  afterAll(async () => {
    await app.close();
    await test.drop();
  });

  /** Names and types, as the service exports them. */
  const exported = (): Map<string, string> =>
    new Map([...metrics.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => [name!, type!]));

  /** The names of the series of all metrics. */
  const series = (): Set<string> =>
    new Set(
      [...exported()].flatMap(([name, type]) =>
        type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
      ),
    );

  it('of metrics names every one that the service has', () => {
    const ours = [...exported().keys()].filter((name) => name.startsWith('batchwise_'));
    expect(ours.length).toBeGreaterThan(15);
    const page = read('docs/operations.md');
    expect(ours.filter((name) => !new RegExp(`\`${name}(?:\\{|\`)`).test(page))).toEqual([]);
  });

  it('of metrics names none that the service has not', () => {
    const told = [...read('docs/operations.md').matchAll(/`(batchwise_\w+)/g)].map(([, name]) => name!);
    expect(told.filter((name) => !exported().has(name))).toEqual([]);
  });

  it('of settings names every one, on the page and in .env.example', () => {
    const variables = [...read('src/platform/config.ts').matchAll(/^ {2}([A-Z][A-Z_]+): \{/gm)].map(
      ([, name]) => name!,
    );
    expect(variables.length).toBeGreaterThan(20);
    const page = read('docs/operations.md');
    expect(variables.filter((name) => !new RegExp(`^\\|[^|]*\`${name}\``, 'm').test(page))).toEqual([]);
    expect(variables.filter((name) => !new RegExp(`^#?${name}=`, 'm').test(read('.env.example')))).toEqual([]);
  });

  it('by alerts and the dashboard is made of metrics that the service has', () => {
    expect(expressions.length).toBeGreaterThan(40);
    const known = series().add('up');
    const unknown = expressions.flatMap(metricsIn).filter((name) => !known.has(name));
    expect(unknown).toEqual([]);
    for (const expression of expressions) expect(metricsIn(expression)).not.toEqual([]);
  });

  it('would not be made of a metric that is misspelt', () => {
    expect(metricsIn('sum by (le) (rate(batchwise_reqest_seconds_bucket{status="5xx"}[5m])) > 0.01')).toEqual([
      'batchwise_reqest_seconds_bucket',
    ]);
    expect(series().has('batchwise_reqest_seconds_bucket')).toBe(false);
  });

  it('by an alert says what is wrong and how bad it is, once', () => {
    const names = alerts.map(({ alert }) => alert);
    expect(new Set(names).size).toBe(names.length);
    for (const { alert, labels, annotations } of alerts) {
      expect(alert).toMatch(/^Batchwise[A-Z]\w+$/);
      expect(['critical', 'warning', 'info']).toContain(labels.severity);
      expect(annotations.summary.length * annotations.description.length).toBeGreaterThan(0);
    }
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(panels.filter(({ type, targets }) => type !== 'row' && !targets?.length)).toEqual([]);
  });

  it('counts every answer by its kind', async () => {
    await app.inject('/v1/orders/nobody-knows');
    const after = (await app.inject('/metrics')).body;
    expect(after).toMatch(/^batchwise_request_seconds_count\{status="4xx"\} [1-9]/m);
    expect(after).toMatch(/^batchwise_request_seconds_count\{status="2xx"\} [1-9]/m);
    expect(after).toMatch(/^batchwise_request_seconds_count\{status="5xx"\} 0$/m);
  });
});
