import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { startApp } from '../support/app';
import { Edge } from '../support/edge';

describe('smoke', () => {
  let app: NestFastifyApplication;
  beforeAll(async () => { app = await startApp(Edge.with()); });
  afterAll(() => app.close());
  it('works', async () => {
    for (const [method, url, payload] of [['GET','/health/live'],['GET','/health/ready'],['GET','/metrics'],['GET','/nope'],['DELETE','/v1/batches'],['GET','/%zz'],['POST','/v1/allocations','{"a":1'],['POST','/v1/allocations','{"qty":0,"__proto__x":2}'],['POST','/v1/allocations','{"orderId":"a","sku":"b","qty":1}'],['POST','/allocate','{'],['GET','/docs/openapi.json'],['GET','/docs'],['PATCH','/v1/batches/x','{}']] as const) {
      const r = await app.inject({ method, url, payload, headers: payload ? {'content-type':'application/json'} : {} });
      console.log(method, url, r.statusCode, JSON.stringify(r.headers), r.body.slice(0, 1500));
    }
  });
});
