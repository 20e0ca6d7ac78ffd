import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './free-port.ts';

export interface LocalRedis {
  readonly url: string;
  stop(): Promise<void>;
}

const untilItAnswers = async (url: string, server: ChildProcess): Promise<void> => {
  const redis = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
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

/** Starts a redis-server of its own on 127.0.0.1, with its files in a temporary folder. */
export const startLocalRedis = async (redisArguments: readonly string[]): Promise<LocalRedis> => {
  const directory = await mkdtemp(join(tmpdir(), 'promptmill-test-redis-'));
  const port = await freePort();
  const binary = ['redis-server', 'valkey-server'].find((name) => spawnSync(name, ['--version']).status === 0);
  if (!binary) throw new Error('tests need a Redis: set TEST_REDIS_URL, start Docker, or install redis-server');
  const server = spawn(binary, ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, ...redisArguments], {
    stdio: 'ignore',
  });
  const url = `redis://127.0.0.1:${port}`;
  await untilItAnswers(url, server);
  return {
    url,
    async stop() {
      const ended = new Promise((resolve) => server.once('exit', resolve));
      server.kill('SIGTERM');
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
};
