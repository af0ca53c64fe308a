import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

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
