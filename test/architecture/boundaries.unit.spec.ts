import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

interface Import {
  from: string;
  to: string;
  found: boolean;
  breaks: string[];
}

const root = join(__dirname, '../..');
const fixtures = join(__dirname, 'fixtures');
const trees = readdirSync(fixtures);
const broken = trees.filter((tree) => tree !== 'allowed');

describe('The boundaries of the architecture', () => {
  let rules: string[];
  let imports: Record<string, Import[]>;

  const importsOf = (folder: string) => imports[folder] ?? [];
  const fixture = (name: string) => importsOf(join(fixtures, name));

  beforeAll(() => {
    const folders = [root, ...trees.map((tree) => join(fixtures, tree))];
    const output = execFileSync(process.execPath, [join(__dirname, 'cruise.mjs'), ...folders], {
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    ({ rules, imports } = JSON.parse(output) as { rules: string[]; imports: Record<string, Import[]> });
  }, 60_000);

  it('hold in src', () => {
    expect(importsOf(root).length).toBeGreaterThan(0);
    expect(importsOf(root).filter(({ breaks }) => breaks.length > 0)).toEqual([]);
  });

  it('allow every import of the table', () => {
    expect(fixture('allowed').length).toBeGreaterThan(0);
    expect(fixture('allowed').filter(({ breaks, found }) => breaks.length > 0 || !found)).toEqual([]);
  });

  it('have one fixture for each rule, and one rule for each fixture', () => {
    expect([...rules].sort()).toEqual([...broken].sort());
  });

  it.each(broken)('refuse every import of the fixture %s, by that rule alone', (rule) => {
    expect(fixture(rule).length).toBeGreaterThan(0);
    expect(fixture(rule).filter(({ breaks }) => breaks.join() !== rule)).toEqual([]);
  });

  it('are broken in the fixtures by files that exist, the build output apart', () => {
    const missing = broken.flatMap(fixture).filter(({ found }) => !found);
    expect(missing.filter(({ breaks }) => breaks.join() !== 'nothing-imports-the-build-output')).toEqual([]);
  });
});
