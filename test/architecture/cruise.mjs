// Prints as JSON the names of all rules, and every import under src/ of each folder given, with the rules it breaks.
// One process for all folders: it is loading the parser that takes long, not parsing.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { cruise } from 'dependency-cruiser';

const require = createRequire(import.meta.url);
const config = fileURLToPath(new URL('../../.dependency-cruiser.cjs', import.meta.url));
const rules = new Set();
const imports = {};

for (const folder of process.argv.slice(2)) {
  process.chdir(folder);
  delete require.cache[config]; // it looks at the src/ of the working directory
  const { options, ...ruleSet } = require(config);
  const { output } = await cruise(['src'], { ...options, ruleSet, validate: true });
  for (const { name } of ruleSet.forbidden) rules.add(name);
  imports[folder] = output.modules.flatMap(({ source, dependencies }) =>
    dependencies.map(({ resolved, couldNotResolve, rules = [] }) => ({
      from: source,
      to: resolved,
      found: !couldNotResolve,
      breaks: rules.map(({ name }) => name),
    })),
  );
}

process.stdout.write(JSON.stringify({ rules: [...rules], imports }));
