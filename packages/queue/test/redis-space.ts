import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { inject } from 'vitest';
import { connectRedis, createKeys } from '../src/index.ts';

const silent = (): void => {};

/** A part of the tests' Redis that no other test touches, and connections to it. Close it: that deletes its keys. */
export const openRedisSpace = () => {
  const url = inject('redisUrl');
  const prefix = `test-${randomBytes(6).toString('hex')}`;
  const connections: Redis[] = [];
  const connect = (): Redis => {
    const redis = connectRedis({ url, whileAway: 'wait', onError: silent });
    connections.push(redis);
    return redis;
  };
  const redis = connect();
  return {
    url,
    prefix,
    keys: createKeys(prefix),
    redis,
    connect,
    async close(): Promise<void> {
      for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 1000 }) as AsyncIterable<string[]>)
        if (keys.length > 0) await redis.unlink(...keys);
      await Promise.all(connections.map((connection) => connection.quit()));
    },
  };
};

export type RedisSpace = ReturnType<typeof openRedisSpace>;
