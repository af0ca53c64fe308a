// Promises one order line over HTTP to the built server, as whoever runs this and as an ordinary user.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { withBuiltService } from './built-service.mjs';

const nobody = { uid: 65_534, gid: 65_534 };

await firstAllocation('whoever runs this', {});
if (process.getuid?.() === 0) {
  const reads = spawnSync('test', ['-r', 'dist/main.js'], nobody).status === 0;
  if (reads) await firstAllocation('an ordinary user', nobody);
  else console.log('not tried as an ordinary user, who cannot read this checkout');
}

async function firstAllocation(who, user) {
  console.log(`as ${who}:`);
  await withBuiltService(user, async (url) => {
    const batch = { ref: 'batch-001', sku: 'SMALL-TABLE', qty: 20 };
    const line = { orderId: 'order-001', sku: 'SMALL-TABLE', qty: 2 };

    assert.equal((await call(url, 'POST', '/v1/batches', batch)).status, 201);

    const promised = await call(url, 'POST', '/v1/allocations', line);
    assert.equal(promised.status, 201);
    assert.equal(promised.body.batchRef, batch.ref);

    const order = await call(url, 'GET', `/v1/orders/${line.orderId}`);
    assert.equal(order.status, 200);
    assert.ok(JSON.stringify(order.body).includes(batch.ref), 'the order names its batch');
  });
}

async function call(url, method, path, body) {
  const response = await fetch(url + path, {
    method,
    headers: body && { 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  const answer = await response.json();
  console.log(method, path, response.status, JSON.stringify(answer));
  return { status: response.status, body: answer };
}
