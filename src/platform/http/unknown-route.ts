import type { FastifyInstance } from 'fastify';
import { HttpError } from './problem';

/** There is no such path, or it is not asked for with a method that it knows. */
export class UnknownRoute extends HttpError {
  constructor(method: string, path: string, allowed: readonly string[]) {
    if (allowed.length === 0) super(404, 'unknown-route', `There is nothing at ${path}.`);
    else super(405, 'method-not-allowed', `${path} does not know ${method}, only ${allowed.join(', ')}.`, { allowed });
  }
}

/** What a step of a route's path stands for: a parameter's pattern, `:id(^…$)`, or anything; else itself. */
function patternOf(step: string): string {
  if (step.startsWith(':')) return /\(\^(.+)\$\)$/.exec(step)?.[1] ?? '[^/]+';
  return step.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** Remembers the routes that are added to `fastify`, and tells the methods that a path knows. */
export function knownMethods(fastify: FastifyInstance): (path: string) => string[] {
  const routes = new Map<string, { readonly path: RegExp; readonly methods: Set<string> }>();
  fastify.addHook('onRoute', ({ url, method }) => {
    if (url.includes('*')) return;
    const pattern = url.split('/').map(patternOf).join('/');
    const route = routes.get(url) ?? { path: new RegExp(`^${pattern}$`), methods: new Set<string>() };
    for (const name of [method].flat()) route.methods.add(name);
    routes.set(url, route);
  });
  return (path) => [...routes.values()].flatMap((route) => (route.path.test(path) ? [...route.methods] : []));
}
