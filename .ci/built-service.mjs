// Starts the built server on a database of its own, as anybody would, and stops it again.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const { PATH, TMPDIR } = process.env; // nothing else: the defaults are to be tried, not what this machine configures

/** Runs `use(url)`; then the server must leave in order. `user` is whoever runs this unless it has a uid and a gid. */
export async function withBuiltService(user, use) {
  const folder = await mkdtemp(join(tmpdir(), 'batchwise-ci-'));
  await chmod(folder, 0o755); // started by root, the embedded PostgreSQL runs as another user
  if (user.uid) await chown(folder, user.uid, user.gid);
  const server = spawn(process.execPath, ['dist/main.js'], {
    ...user,
    env: { PATH, TMPDIR, PORT: '0', BATCHWISE_DATA_DIR: join(folder, 'data') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(server, 'exit');
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.kill('SIGKILL'));

  try {
    await use(await within(60, 'the ready line', Promise.race([readyUrl(server), exited.then(stoppedEarly)])));

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
