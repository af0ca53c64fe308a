import type { FastifyInstance, onRequestHookHandler } from 'fastify';
import { pageHeaders } from './headers';

/** What lies under the explorer's path is for everybody: it tells what the service can do, and shows no data. */
const isExplorer = (url: string): boolean => /^\/docs(?:\/|$)/.test(url);

const asPage: onRequestHookHandler = (_request, reply, done) => {
  reply.headers(pageHeaders);
  done();
};

/** Lets no route be added that does not say which scope it needs, so that none is open because somebody forgot. */
export function declareScopes(fastify: FastifyInstance): void {
  fastify.addHook('onRoute', (route) => {
    if (isExplorer(route.url)) {
      route.config = { ...route.config, scope: 'public' };
      route.onRequest = [route.onRequest ?? [], asPage].flat();
    }
    if (route.config?.scope === undefined)
      throw new Error(`${String(route.method)} ${route.url} does not say which scope it needs: say it with @Endpoint.`);
  });
}
