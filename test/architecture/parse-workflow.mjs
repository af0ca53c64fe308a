// Prints, as a JSON list, what GitHub's own parser finds wrong in the workflow on standard input.
// A process of its own: the parser is made for bundlers and imports JSON in a way that Node takes only with this hook.
import { readFileSync } from 'node:fs';
import { register } from 'node:module';

const hook = `export const load = (url, context, next) =>
  next(url, url.endsWith('.json') ? { ...context, importAttributes: { type: 'json' } } : context);`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);

const { NoOperationTraceWriter, parseWorkflow } = await import('@actions/workflow-parser');
const workflow = { name: 'workflow', content: readFileSync(0, 'utf8') };
const { context } = parseWorkflow(workflow, new NoOperationTraceWriter());
process.stdout.write(JSON.stringify(context.errors.getErrors().map(({ message }) => message)));
