import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

interface Figure {
  readonly id: string;
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly pass: boolean;
}

const root = join(__dirname, '../..');
const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...markdownIn('docs')];

describe('The documentation', () => {
  it.each(pages)('%s names only files that exist', (page) => {
    const text = readFileSync(join(root, page), 'utf8');
    const code = [...text.matchAll(/`((?:src|test|bench|docs|\.ci)\/[\w./-]+)`/g)].map(([, path]) => join(root, path!));
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)].map(([, path]) =>
      join(root, dirname(page), path!),
    );
    expect([...code, ...links].filter((path) => !existsSync(path))).toEqual([]);
  });

  describe('of performance', () => {
    const { figures } = JSON.parse(readFileSync(join(root, 'docs/performance.json'), 'utf8')) as { figures: Figure[] };
    const cells = (row: string) => row.split('|').map((cell) => cell.trim());

    it('shows the figures that were measured', () => {
      const rows = readFileSync(join(root, 'docs/performance.md'), 'utf8').split('\n').map(cells);
      const shown = figures.map(({ id }) => rows.find(([, row, , , , median]) => row === id && median)?.slice(4, 8));
      const measured = figures.map(({ min, median, max, pass }) => [
        ...[min, median, max].map((figure) => figure.toFixed(2)),
        pass ? 'pass' : '**short**',
      ]);
      expect(shown).toEqual(measured);
    });

    it('gives some of them on the first page', () => {
      const [, table = ''] = readFileSync(join(root, 'README.md'), 'utf8').split('\n## Figures\n');
      const shown = table.split('\n').flatMap((row) => cells(row)[3] ?? []);
      const { grouping, P9, P5, ...more } = Object.fromEntries(figures.map((figure) => [figure.id, figure]));
      const short = (...rows: string[]): string => (rows.every((row) => more[row]!.pass) ? '' : ': short');
      expect(shown.slice(2, 7)).toEqual([
        grouping!.median.toFixed(0),
        P9!.median.toFixed(2),
        P5!.median.toFixed(2),
        `${more['P8-1']!.median.toFixed(0)} ms; two replicas ${more['P8-2']!.median.toFixed(0)} ms${short('P8-1', 'P8-2')}`,
        `${more['P1-256']!.median.toFixed(2)}${short('P1-256')}`,
      ]);
    });
  });

  it('shows where each of the book’s patterns lives', () => {
    const text = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
    for (const pattern of [
      'Domain model',
      'Aggregate',
      'Entity',
      'Value object',
      'Domain service',
      'Repository',
      'Unit of Work',
      'Command',
      'Event',
      'Message bus',
      'CQRS',
      'Dependency injection',
    ]) {
      expect(text).toMatch(new RegExp(`^\\| ${pattern}\\b.*\`src/`, 'm'));
    }
  });
});

function markdownIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join(folder, file));
}
