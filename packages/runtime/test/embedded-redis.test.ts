import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createLogger, type EmbeddedRedis, startEmbeddedRedis } from '../src/index.ts';

const logger = createLogger({ level: 'silent', role: 'test' });

let dataDirectory: string;
let child: ChildProcess | undefined;
let started: EmbeddedRedis[];

beforeEach(() => {
  dataDirectory = mkdtempSync(join(realpathSync(tmpdir()), 'pm data "1" '));
  started = [];
});

afterEach(async () => {
  child?.kill('SIGKILL');
  child = undefined;
  for (const redis of started) await redis.close();
  rmSync(dataDirectory, { recursive: true });
});

const start = async (more: Partial<Parameters<typeof startEmbeddedRedis>[0]> = {}): Promise<EmbeddedRedis> => {
  const redis = await startEmbeddedRedis({ dataDirectory, maxmemory: '64mb', logger, ...more });
  started.push(redis);
  return redis;
};

/** Starts a Redis from another process, which a test can kill. */
const startElsewhere = async (): Promise<{ readonly url: string; readonly pid: number }> => {
  const file = join(import.meta.dirname, 'embedded-redis-process.ts');
  const running = spawn(process.execPath, [file, dataDirectory], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child = running;
  const [line] = (await once(createInterface({ input: running.stdout }), 'line')) as [string];
  return JSON.parse(line) as { url: string; pid: number };
};

/** Kills the other process with its group, the processes that Ctrl-C at a terminal would signal. */
const kill = async (running: ChildProcess | undefined): Promise<void> => {
  const exit = once(running as ChildProcess, 'exit');
  process.kill(-(running?.pid ?? 0), 'SIGKILL');
  await exit;
};

const use = async <T>(url: string, action: (redis: Redis) => Promise<T>): Promise<T> => {
  const redis = new Redis(url);
  try {
    return await action(redis);
  } finally {
    redis.disconnect();
  }
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const gone = (pid: number): Promise<void> => vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 5000 });

it('starts a durable Redis on a socket that only the user can reach, and stops it', async () => {
  const redis = await start();
  const settings = await use(redis.url, (client) =>
    client.config('GET', 'appendonly', 'appendfsync', 'save', 'maxmemory', 'maxmemory-policy', 'port', 'dir'),
  );
  expect(settings).toEqual(
    expect.arrayContaining([
      'yes',
      'always',
      '',
      String(64 * 2 ** 20),
      'noeviction',
      '0',
      join(dataDirectory, 'redis'),
    ]),
  );
  expect(statSync(join(dataDirectory, 'redis')).mode & 0o777).toBe(0o700);
  for (const entry of readdirSync(dataDirectory, { recursive: true, encoding: 'utf8' }))
    expect([entry, statSync(join(dataDirectory, entry)).mode & 0o077]).toEqual([entry, 0]);
  expect(redis.pid).toBeDefined();
  await redis.close();
  await gone(redis.pid ?? 0);
  expect(readdirSync(dataDirectory)).toEqual(['redis']);
  expect(existsSync(redis.url)).toBe(false);
});

it('still has its data after a stop, and after a kill of Redis', async () => {
  const first = await start();
  await use(first.url, (client) => client.set('stopped', '1'));
  await first.close();

  const second = await start();
  await use(second.url, (client) => client.set('killed', '1'));
  process.kill(second.pid ?? 0, 'SIGKILL');
  await gone(second.pid ?? 0);
  await second.close();

  const third = await start();
  expect(await use(third.url, (client) => client.mget('stopped', 'killed'))).toEqual(['1', '1']);
});

it('takes over the Redis of a killed process', async () => {
  const before = await startElsewhere();
  await use(before.url, (client) => client.set('paid', '1'));
  await kill(child);

  const after = await start();
  expect(after.pid).toBe(before.pid);
  expect(await use(after.url, (client) => client.get('paid'))).toBe('1');
  await after.close();
  await gone(before.pid);
});

it('replaces a Redis that runs but cannot be reached', async () => {
  const before = await startElsewhere();
  await use(before.url, (client) => client.set('paid', '1'));
  await kill(child);
  rmSync(before.url);

  const after = await start();
  expect(after.pid).not.toBe(before.pid);
  await gone(before.pid);
  expect(await use(after.url, (client) => client.get('paid'))).toBe('1');
});

it('refuses a data folder that another live process owns', async () => {
  const { url } = await startElsewhere();
  await expect(start()).rejects.toMatchObject({ code: 'data_folder_in_use', ownerPid: child?.pid });
  expect(await use(url, (client) => client.ping())).toBe('PONG');
  await kill(child);
  await start();
});

it('gives the folder to one of many processes that start at once', async () => {
  await startElsewhere();
  await kill(child);
  const attempts = await Promise.allSettled([start(), start(), start()]);
  expect(attempts.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
});

it('puts its socket elsewhere when the path of the data folder is too long for a socket', async () => {
  const redis = await start({ dataDirectory: join(dataDirectory, 'x'.repeat(100)) });
  expect(redis.url.length).toBeLessThan(104);
  expect(await use(redis.url, (client) => client.ping())).toBe('PONG');
  expect(statSync(dirname(redis.url)).mode & 0o777).toBe(0o700);
  await redis.close();
  expect(existsSync(dirname(redis.url))).toBe(false);
});

it('finds a socket that is elsewhere again, under a name that nobody can guess', async () => {
  dataDirectory = join(dataDirectory, 'x'.repeat(100));
  const before = await startElsewhere();
  const id = createHash('sha256').update(dataDirectory).digest('hex').slice(0, 16);
  expect(before.url).not.toContain(id);
  await kill(child);
  const after = await start();
  expect(after).toMatchObject({ pid: before.pid, url: before.url });
  dataDirectory = dirname(dataDirectory);
});

it('says what to install when the machine has no Redis to start', async () => {
  const nothing = { serverCommands: ['no-such-redis'], dockerCommand: 'no-such-docker' };
  await expect(start(nothing)).rejects.toMatchObject({
    code: 'no_redis',
    message: expect.stringContaining('apt-get install redis-server') as string,
  });
  // The data folder is free again.
  await start();
});

it('shows the end of the log when Redis does not start', async () => {
  mkdirSync(join(dataDirectory, 'redis', 'appendonlydir'), { recursive: true });
  writeFileSync(join(dataDirectory, 'redis', 'appendonlydir', 'appendonly.aof.manifest'), 'nonsense\n');
  const failing = start();
  await expect(failing).rejects.toMatchObject({
    code: 'redis_failed',
    message: expect.stringContaining('manifest') as string,
  });
});
