import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect as connectSocket, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { connectRedis, type RedisConnection, untilReady } from '../src/index.ts';

const binary = ['redis-server', 'valkey-server'].find((name) => spawnSync(name, ['--version']).status === 0);

let directory: string;
let socket: string;
let server: ChildProcess;
let redis: RedisConnection;
let errors: Error[];

const startServer = (more: readonly string[] = []): ChildProcess =>
  spawn(binary ?? '', ['--port', '0', '--unixsocket', socket, '--dir', directory, '--save', '', ...more], {
    stdio: 'ignore',
  });

const connect = (whileAway: 'fail' | 'wait'): RedisConnection =>
  connectRedis({ url: socket, whileAway, onError: (error) => errors.push(error) });

const kill = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
  const ended = once(server, 'exit');
  server.kill(signal);
  await ended;
};

/** How long the rejection took, in milliseconds. */
const rejection = async (command: Promise<unknown>): Promise<number> => {
  const startedAt = performance.now();
  await expect(command).rejects.toBeInstanceOf(Error);
  return performance.now() - startedAt;
};

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'promptmill-redis-'));
  socket = join(directory, 'redis.sock');
  errors = [];
  server = startServer();
});

/** One that has ended would keep a timer for two more seconds. */
const disconnect = (connection: RedisConnection): void => {
  if (connection.status !== 'end') connection.disconnect();
};

afterEach(async () => {
  disconnect(redis);
  if (server.exitCode === null && server.signalCode === null) await kill('SIGKILL');
  await rm(directory, { recursive: true });
});

/** Keeps Redis busy for 400 ms. */
const busy = `local from = redis.call('TIME')
  repeat local now = redis.call('TIME') until (now[1] - from[1]) * 1000000 + now[2] - from[2] > 400000
  return 1`;

test.runIf(binary)('`fail`: a command waits for its answer as long as Redis answers others', async () => {
  redis = connect('fail');
  await untilReady(redis);
  // More than Redis reads at once, so that it answers each by itself.
  const padding = 'x'.repeat(20_000);
  const answers = Array.from({ length: 6 }, () => redis.eval(busy, 0, padding));
  expect(await Promise.all(answers)).toEqual([1, 1, 1, 1, 1, 1]);
});

test.runIf(binary)('`fail`: a command has its whole time from when a busy process sends it', async () => {
  redis = connect('fail');
  await untilReady(redis);
  const answer = redis.set('key', 'value');
  const busyUntil = performance.now() + 2500;
  while (performance.now() < busyUntil);
  expect(await answer).toBe('OK');
});

test.runIf(binary)('`fail`: a Redis that hangs rejects within 2 s, and serves again when it is back', async () => {
  redis = connect('fail');
  await untilReady(redis);
  server.kill('SIGSTOP');
  try {
    expect(await rejection(redis.get('key'))).toBeLessThan(2000);
  } finally {
    server.kill('SIGCONT');
  }
  expect(await redis.set('key', 'value')).toBe('OK');
});

test.runIf(binary)('`fail`: a Redis that is gone rejects at once, and serves again after a restart', async () => {
  redis = connect('fail');
  await untilReady(redis);
  const closed = once(redis, 'close');
  await kill('SIGKILL');
  expect(await rejection(redis.get('key'))).toBeLessThan(1000);
  await closed;
  expect(await rejection(redis.get('key'))).toBeLessThan(1000);

  server = startServer();
  await untilReady(redis);
  expect(await redis.get('key')).toBeNull();
});

test.runIf(binary)('`fail`: a Redis that was never there rejects at once', async () => {
  await kill('SIGKILL');
  redis = connect('fail');
  expect(await rejection(redis.get('key'))).toBeLessThan(1000);
});

test.runIf(binary)('`wait`: a command is held until Redis is back', async () => {
  redis = connect('wait');
  await untilReady(redis);
  await kill('SIGKILL');
  const answer = redis.set('key', 'value');
  server = startServer();
  expect(await answer).toBe('OK');
});

test.runIf(binary)('a Redis that loads its data is asked again soon, however long it thinks to take', async () => {
  redis = connect('wait');
  const keys = 40;
  // While it loads, Redis answers once in so many bytes; what can be compressed is none.
  const bytes = 1024;
  const value = (): string => randomBytes(2 * bytes).toString('hex');
  await redis.mset(Object.fromEntries(Array.from({ length: keys }, (_, i) => [`key-${i}`, value()])));
  await redis.save();
  await kill('SIGKILL');
  const connected = new Promise((resolve) => redis.once('connect', resolve));
  const perKeyUs = 500_000;
  server = startServer([
    '--key-load-delay',
    String(perKeyUs),
    '--loading-process-events-interval-bytes',
    String(bytes),
  ]);
  await connected;
  const hurry = new Redis(socket, { enableReadyCheck: false });
  hurry.on('error', () => {});
  // By now it has guessed to take some 20 s.
  const percentLoaded = async (): Promise<number> =>
    Number(/loading_loaded_perc:([\d.]+)/.exec(await hurry.info('persistence'))?.[1]);
  await expect.poll(percentLoaded).toBeGreaterThan(10);
  await hurry.config('SET', 'key-load-delay', '0');
  const startedAt = performance.now();
  await untilReady(redis);
  expect(performance.now() - startedAt).toBeLessThan(3000);
  hurry.disconnect();
});

test.runIf(binary)('commands of one event-loop turn leave in one write, those of the next in another', async () => {
  redis = connect('wait');
  await untilReady(redis);
  const { stream } = redis as Redis;
  const writes = vi.spyOn(stream as unknown as { _writev: () => void }, '_writev');
  const single = vi.spyOn(stream, '_write');
  await Promise.all([redis.set('a', 1), redis.set('b', 2), redis.get('a')]);
  expect([writes.mock.calls.length, single.mock.calls.length]).toEqual([1, 0]);
  expect(await redis.mget('a', 'b')).toEqual(['1', '2']);
  expect([writes.mock.calls.length, single.mock.calls.length]).toEqual([1, 1]);
});

test.runIf(binary)('errors go to the opener of the connection', async () => {
  redis = connect('wait');
  await untilReady(redis);
  await kill('SIGKILL');
  await expect.poll(() => errors.length, { timeout: 5000 }).toBeGreaterThan(0);
});

/** A way to the server by TCP; `take` says what becomes of a connection. */
const openWay = async (take: (client: Socket) => void) => {
  const taken: Socket[] = [];
  const way = createServer((client) => {
    taken.push(client);
    take(client);
  });
  await once(way.listen(0, '127.0.0.1'), 'listening');
  const { port } = way.address() as AddressInfo;
  return {
    url: `redis://127.0.0.1:${port}`,
    taken,
    breakAll(): void {
      for (const client of taken) client.destroy();
    },
    close(): void {
      this.breakAll();
      way.close();
    },
  };
};

const passOn = (client: Socket): void => {
  const there = connectSocket(socket);
  there.on('error', () => client.destroy());
  client.pipe(there).pipe(client);
};

test.runIf(binary)('a connection that is taken and never answered is given up, also by a copy', async () => {
  let dead = true;
  const way = await openWay((client) => (dead ? client.resume() : passOn(client)));
  redis = connectRedis({ url: way.url, whileAway: 'wait', onError: () => {} });
  const copy = (redis as Redis).duplicate();
  copy.on('error', () => {});
  try {
    await expect.poll(() => way.taken.length).toBe(2);
    dead = false;
    const startedAt = performance.now();
    await Promise.all([untilReady(redis), untilReady(copy)]);
    // An answer to anything else is waited for 6 s.
    expect(performance.now() - startedAt).toBeLessThan(5000);
  } finally {
    copy.disconnect();
    redis.disconnect();
    way.close();
  }
});

test.runIf(binary)('what was under way fails when Redis is not waited for, also when it was half back', async () => {
  const closing = new AbortController();
  let isBack = true;
  const way = await openWay((client) => (isBack ? passOn(client) : client.once('data', () => client.destroy())));
  redis = connectRedis({ url: way.url, whileAway: 'wait', onError: () => {}, closing: closing.signal });
  const copy = (redis as Redis).duplicate();
  copy.on('error', () => {});
  try {
    await Promise.all([untilReady(redis), untilReady(copy)]);
    const underWay = Promise.allSettled([redis.blpop('nothing', 0), copy.blpop('nothing', 0)]);
    const halfBack = Promise.all([redis, copy].map((one) => new Promise((resolve) => one.once('connect', resolve))));
    isBack = false;
    way.breakAll();
    await halfBack;
    closing.abort();
    const closed = { status: 'rejected', reason: new Error('Connection is closed.') };
    expect(await underWay).toEqual([closed, closed]);
  } finally {
    disconnect(copy);
    way.close();
  }
});

test('what waits for Redis fails when the connection is closed between two attempts to connect', async () => {
  // Nothing listens at this socket.
  redis = connectRedis({ url: join(directory, 'none'), whileAway: 'wait', onError: () => {} });
  const copy = (redis as Redis).duplicate();
  copy.on('error', () => {});
  const waiting = Promise.allSettled([redis.get('a'), copy.get('a')]);
  await Promise.all([redis, copy].map((one) => new Promise((resolve) => one.once('reconnecting', resolve))));
  for (const one of [redis, copy]) {
    expect(one.status).toBe('reconnecting');
    one.disconnect();
    expect(one.status).toBe('end');
  }
  const closed = { status: 'rejected', reason: new Error('Connection is closed.') };
  expect(await waiting).toEqual([closed, closed]);
});
