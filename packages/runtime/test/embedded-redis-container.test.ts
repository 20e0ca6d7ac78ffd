import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createLogger, type EmbeddedRedis, startEmbeddedRedis } from '../src/index.ts';

const hasImage = spawnSync('docker', ['image', 'inspect', 'redis:8-alpine']).status === 0;
const logger = createLogger({ level: 'silent', role: 'test' });

let dataDirectory: string;
let redis: EmbeddedRedis | undefined;

beforeEach(() => {
  dataDirectory = mkdtempSync(join(tmpdir(), 'pm-container-'));
});

afterEach(async () => {
  await redis?.close();
  rmSync(dataDirectory, { recursive: true });
});

const run = async <T>(action: (client: Redis) => Promise<T>): Promise<T> => {
  redis = await startEmbeddedRedis({ dataDirectory, maxmemory: '64mb', logger, serverCommands: [] });
  const client = new Redis(redis.url);
  try {
    return await action(client);
  } finally {
    client.disconnect();
    await redis.close();
    redis = undefined;
  }
};

it.skipIf(!hasImage)('keeps its data in the folder when Redis runs in a container', async () => {
  expect(await run((client) => client.config('GET', 'appendfsync', 'maxmemory', 'maxmemory-policy'))).toEqual(
    expect.arrayContaining(['always', String(64 * 2 ** 20), 'noeviction']),
  );
  await run((client) => client.set('paid', '1'));
  expect(await run((client) => client.get('paid'))).toBe('1');
});

it.skipIf(!hasImage)('lets nobody in without the password of the folder', async () => {
  await run(async () => {
    const { port } = new URL(redis?.url ?? '');
    const stranger = new Redis(Number(port), '127.0.0.1', { protocol: 2, enableReadyCheck: false });
    try {
      await expect(stranger.get('paid')).rejects.toThrow('NOAUTH');
    } finally {
      stranger.disconnect();
    }
  });
});
