import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './free-port.ts';

export interface LocalRedis {
  readonly url: string;
  stop(): Promise<void>;
}

/** A Redis that a test can kill and start again, on the same port and with the data on its disk. */
export interface DurableRedis extends LocalRedis {
  /** The folder of the append-only file. */
  readonly directory: string;
  /** Kills Redis with SIGKILL. */
  kill(): Promise<void>;
  /** Call it after `kill`. It resolves once Redis answers. */
  restart(): Promise<void>;
  /** Call it after `kill`. It cuts the append-only file's last bytes, as a power cut may, and returns the old size. */
  cutTail(bytes: number): Promise<number>;
  /** Call it after `kill`. It cuts the append-only file right after the last occurrence of a text. */
  cutAfter(text: string): Promise<void>;
}

const untilItAnswers = async (url: string, server: ChildProcess): Promise<void> => {
  const redis = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 20, maxLoadingRetryTime: 20 });
  redis.on('error', () => {});
  const gone = new Promise<never>((_, reject) => {
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`redis-server ended with ${code}`)));
  });
  try {
    await Promise.race([redis.ping(), gone]);
  } finally {
    redis.disconnect();
  }
};

/** A redis-server on 127.0.0.1, not started yet, with its files and its configuration in a temporary folder. */
export const createRedisServer = async (redisArguments: readonly string[], config?: string) => {
  const directory = await mkdtemp(join(tmpdir(), 'promptmill-test-redis-'));
  const port = await freePort();
  const binary = ['redis-server', 'valkey-server'].find((name) => spawnSync(name, ['--version']).status === 0);
  if (!binary) throw new Error('tests need a Redis: set TEST_REDIS_URL, start Docker, or install redis-server');
  const configFile = join(directory, 'redis.conf');
  if (config !== undefined) await writeFile(configFile, config);
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, ...redisArguments];
  if (config !== undefined) options.unshift(configFile);
  const url = `redis://127.0.0.1:${port}`;
  let server: ChildProcess | undefined;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  };
  const start = async (): Promise<void> => {
    server = spawn(binary, options, { stdio: 'ignore' });
    await untilItAnswers(url, server);
  };
  const stop = async (): Promise<void> => {
    await end('SIGTERM');
    await rm(directory, { recursive: true, force: true });
  };
  /** The client that comes with the server. */
  const client = binary.replace('server', 'cli');
  return { url, port, directory, client, start, end, stop };
};

export const startLocalRedis = async (redisArguments: readonly string[]): Promise<LocalRedis> => {
  const { url, start, stop } = await createRedisServer(redisArguments);
  await start();
  return { url, stop };
};

/** The settings of docker-compose.yml, without snapshots: acknowledged writes survive a restart. */
const durable = '--appendonly yes --appendfsync everysec --maxmemory-policy noeviction --hash-max-listpack-value 1024'
  .split(' ')
  .concat('--save', '');

export const startDurableRedis = async (): Promise<DurableRedis> => {
  const { url, directory, start, end, stop } = await createRedisServer(durable);
  const files = join(directory, 'appendonlydir');
  await start();
  const newestFile = async (): Promise<string> => {
    const names = (await readdir(files)).filter((name) => name.endsWith('.incr.aof'));
    const newest = names.toSorted((a, b) => Number(a.split('.')[2]) - Number(b.split('.')[2])).at(-1);
    if (newest === undefined) throw new Error('Redis has no append-only file');
    return join(files, newest);
  };
  return {
    url,
    directory,
    kill: () => end('SIGKILL'),
    restart: start,
    async cutTail(bytes) {
      const path = await newestFile();
      const { size } = await stat(path);
      await truncate(path, Math.max(0, size - bytes));
      return size;
    },
    async cutAfter(text) {
      const path = await newestFile();
      const at = (await readFile(path)).lastIndexOf(text);
      if (at === -1) throw new Error(`the append-only file has no ${text}`);
      await truncate(path, at + text.length);
    },
    stop,
  };
};
