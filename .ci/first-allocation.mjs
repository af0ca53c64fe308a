// Starts the built server on a database of its own, promises one order line over HTTP, and stops it again.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const { PATH, TMPDIR } = process.env; // nothing else: the defaults are to be tried, not what this machine configures
const nobody = { uid: 65_534, gid: 65_534 };

await firstAllocation('whoever runs this', {});
if (process.getuid?.() === 0) {
  const reads = spawnSync('test', ['-r', 'dist/main.js'], nobody).status === 0;
  if (reads) await firstAllocation('an ordinary user', nobody);
  else console.log('not tried as an ordinary user, who cannot read this checkout');
}

async function firstAllocation(who, user) {
  const folder = await mkdtemp(join(tmpdir(), 'batchwise-ci-'));
  await chmod(folder, 0o755); // started by root, the embedded PostgreSQL runs as another user
  if (user.uid) await chown(folder, user.uid, user.gid);
  console.log(`as ${who}:`);
  const server = spawn(process.execPath, ['dist/main.js'], {
    ...user,
    env: { PATH, TMPDIR, PORT: '0', BATCHWISE_DATA_DIR: join(folder, 'data') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(server, 'exit');
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.kill('SIGKILL'));

  try {
    const url = await within(60, 'the ready line', Promise.race([readyUrl(server), exited.then(stoppedEarly)]));
    const batch = { ref: 'batch-001', sku: 'SMALL-TABLE', qty: 20 };
    const line = { orderId: 'order-001', sku: 'SMALL-TABLE', qty: 2 };

    assert.equal((await call(url, 'POST', '/v1/batches', batch)).status, 201);

    const promised = await call(url, 'POST', '/v1/allocations', line);
    assert.equal(promised.status, 201);
    assert.equal(promised.body.batchRef, batch.ref);

    const order = await call(url, 'GET', `/v1/orders/${line.orderId}`);
    assert.equal(order.status, 200);
    assert.ok(JSON.stringify(order.body).includes(batch.ref), 'the order names its batch');

    server.kill('SIGTERM');
    const [code, signal] = await within(30, 'the server to stop', exited);
    assert.deepEqual({ code, signal }, { code: 0, signal: null });
  } finally {
    if (server.exitCode === null && server.signalCode === null) {
      server.kill('SIGKILL');
      await exited;
      await delay(2_000); // its PostgreSQL notices and stops
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 500 });
  }
}

function readyUrl(server) {
  return new Promise((resolve) => {
    let output = '';
    server.stdout.setEncoding('utf8').on('data', (text) => {
      process.stdout.write(text);
      output += text;
      const [url] = output.match(/http:\/\/127\.0\.0\.1:\d+/) ?? [];
      if (url) resolve(url);
    });
  });
}

function stoppedEarly([code, signal]) {
  throw new Error(`the server stopped (${signal ?? code}) before it was ready`);
}

async function within(seconds, what, promise) {
  const timer = new AbortController();
  const late = delay(seconds * 1000, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`waited ${seconds} s for ${what}`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
    late.catch(() => {});
  }
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
