// The import table of docs/architecture.md, section Modules, as rules. They are written by pattern: a new folder under
// src/ is bound the day it appears. Each rule has a tree in test/architecture/fixtures/ that must break it.
const { readFileSync, readdirSync } = require('node:fs');
const { posix, sep } = require('node:path');
const ts = require('typescript');

const kernel = '^src/kernel/';
const platform = '^src/platform/';
const anyModule = '^src/(?!kernel/|platform/)[^/]+/';
const anyContract = `${anyModule}contract/`;
const anyModuleFile = `${anyModule}[^/]+\\.module\\.ts$`;
const aModule = '^src/(?!kernel/|platform/)([^/]+)/'; // its name is $1 on the other side of a rule
const own = (...folders) => `^src/$1/(?:${folders.join('|')})/`;
const npm = (...packages) => `(?:^|/)node_modules/${packages.length ? `(?:${packages.join('|')})/` : ''}`;

const sqlFolders = ['queries', 'persistence', 'projections', 'reactions'];
const edgeFolders = ['http', 'messaging', 'cli'];
const layers = ['contract', 'domain', 'handlers', ...sqlFolders, ...edgeFolders];

// Both may be absent, so the path is compared as written too. They have rules of their own, and the others skip them.
const tests = '^(?:\\.\\./)*test/';
const buildOutput = '^(?:\\.\\./)*dist/';

/** A rule that forbids `from` every import but those of `to`. Node's own modules count as imports unless `node` is set. */
const only = (name, comment, { from, fromNot, to, node = false }) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from, ...(fromNot && { pathNot: fromNot }) },
  to: { pathNot: [tests, buildOutput, ...to], ...(node && { dependencyTypesNot: ['core'] }) },
});

const never = (name, comment, from, to) => ({ name, comment, severity: 'error', from: { path: from }, to });

module.exports = {
  forbidden: [
    only(
      'kernel-imports-only-the-kernel',
      'Every domain shares the kernel: whatever it imported, each of them would depend on.',
      { from: kernel, to: [kernel] },
    ),
    only(
      'a-contract-imports-only-itself-and-the-kernel',
      'A contract is what other modules see of a module. It stays plain TypeScript, or they would see what is behind it.',
      { from: `${aModule}contract/`, to: [own('contract'), kernel] },
    ),
    only(
      'a-domain-imports-only-its-own-contract-and-the-kernel',
      'The domain decides, synchronously and without I/O, so that its work can be repeated, grouped and tried. No packages.',
      { from: `${aModule}domain/`, to: [own('domain', 'contract'), kernel] },
    ),
    only(
      'handlers-import-only-their-domain-contracts-and-nest',
      'A handler says what it needs and calls one domain method. How that is stored or published is not its business.',
      {
        from: `${aModule}handlers/`,
        to: [own('handlers', 'domain'), anyContract, kernel, npm('@nestjs/cqrs', '@nestjs/common')],
      },
    ),
    only(
      'the-sql-side-imports-only-what-handlers-may-and-the-database',
      'Queries, persistence, projections and reactions speak SQL and nothing else: no HTTP, no broker, no mail.',
      {
        from: `${aModule}(?:${sqlFolders.join('|')})/`,
        to: [
          own('domain', ...sqlFolders),
          anyContract,
          kernel,
          '^src/platform/(?:database|event-log|unit-of-work|verify)/',
          npm('@nestjs/cqrs', '@nestjs/common', '@nestjs/typeorm', 'typeorm'),
        ],
      },
    ),
    only(
      'the-edges-import-only-contracts-and-the-platform',
      'HTTP, messages and the command line parse, authorize and send a command or a query. Nothing is decided there.',
      {
        from: `${aModule}(?:${edgeFolders.join('|')})/`,
        to: [own(...edgeFolders), anyContract, kernel, platform, npm()],
        node: true,
      },
    ),
    only(
      'a-module-file-imports-only-its-own-module-and-the-platform',
      'It is the table of contents of its module. What it needs of another one, it gets by the buses.',
      { from: `${aModule}[^/]+\\.module\\.ts$`, to: ['^src/$1/', kernel, platform, npm()], node: true },
    ),
    only(
      'the-platform-knows-no-module',
      'The platform is plumbing: a module that it knew could neither be removed nor replaced.',
      { from: platform, to: [platform, kernel, npm()], node: true },
    ),
    only(
      'the-composition-root-imports-only-module-files-and-the-platform',
      'One file names every module, and names no more of it than the module shows.',
      { from: '^src/app\\.module\\.ts$', to: [anyModuleFile, platform, npm()], node: true },
    ),
    only(
      'main-and-cli-import-only-the-composition-root-and-the-platform',
      'Processes start what app.module.ts composes, so that the server and the command line never differ in it.',
      { from: '^src/(?:main|cli)\\.ts$', to: ['^src/(?:app\\.module|main)\\.ts$', platform, npm()], node: true },
    ),
    only(
      'files-outside-the-layout-import-nothing',
      'A folder or file that the table does not know would be bound by no rule: give it a row in the table first.',
      {
        from: '^src/',
        fromNot: [
          kernel,
          platform,
          '^src/(?:main|cli|app\\.module)\\.ts$',
          anyModuleFile,
          `${anyModule}(?:${layers.join('|')})/`,
        ],
        to: [],
      },
    ),
    never(
      'no-file-imports-itself-through-others',
      'Files of a cycle can only be read, tested and loaded together. Imports of types alone count too.',
      '^src/',
      { circular: true },
    ),
    never(
      'no-module-imports-itself-through-others',
      'Modules stand on top of each other. Two that need one another are one module, or lack an event.',
      `^src/(${modulesInACycle().join('|')})/`,
      { path: `^src/(?:${modulesInACycle().join('|')})/`, pathNot: '^src/$1/' },
    ),
    never('nothing-imports-tests', 'What runs in production must not need what is not shipped.', '^src/', {
      path: tests,
    }),
    never(
      'nothing-imports-development-packages',
      'They are absent where only production packages are installed. Types alone may come from them.',
      '^src/',
      { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    ),
    never('nothing-imports-the-build-output', 'It is made from src/ and may be old or absent.', '^src/', {
      path: buildOutput,
    }),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'types'] },
  },
};

/** The modules that reach themselves by their imports; a rule sees one import at a time and cannot tell. */
function modulesInACycle() {
  const imports = new Map();
  for (const path of readdirSync('src', { recursive: true })) {
    if (!path.endsWith('.ts')) continue;
    const file = path.replaceAll(sep, '/');
    const [from] = file.split('/');
    const seen = imports.get(from) ?? new Set();
    imports.set(from, seen);
    for (const { fileName } of ts.preProcessFile(readFileSync(posix.join('src', file), 'utf8')).importedFiles) {
      if (!fileName.startsWith('.')) continue;
      const [to] = posix.join(posix.dirname(file), fileName).split('/');
      if (![from, 'kernel', 'platform'].includes(to)) seen.add(to);
    }
  }
  const reached = (from, found = new Set()) => {
    for (const to of imports.get(from) ?? []) if (!found.has(to)) reached(to, found.add(to));
    return found;
  };
  return [...imports.keys()].filter((folder) => reached(folder).has(folder));
}
