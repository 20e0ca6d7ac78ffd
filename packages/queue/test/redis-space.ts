import { randomBytes } from 'node:crypto';
import type { Queue, Worker } from 'bullmq';
import { inject } from 'vitest';
import { deleteKeys } from '../../../tests/support/redis-keys.ts';
import { closeRedis, connectRedis, createKeys, type RedisConnection } from '../src/index.ts';

const silent = (): void => {};

/** A part of the tests' Redis that no other test touches, and connections to it. Close it: that deletes its keys. */
export const openRedisSpace = () => {
  const url = inject('redisUrl');
  const prefix = `test-${randomBytes(6).toString('hex')}`;
  const connections: RedisConnection[] = [];
  const connect = (): RedisConnection => {
    const redis = connectRedis({ url, whileAway: 'wait', onError: silent });
    connections.push(redis);
    return redis;
  };
  const redis = connect();
  const kept: (Queue | Worker)[] = [];
  return {
    url,
    prefix,
    keys: createKeys(prefix),
    redis,
    connect,
    /** Also closes this when the space is closed. */
    keep<T extends Queue | Worker>(each: T): T {
      kept.push(each);
      return each;
    },
    async close(): Promise<void> {
      await Promise.all(kept.map((each) => each.close()));
      await deleteKeys(redis, prefix);
      await Promise.all(connections.map(closeRedis));
    },
  };
};

export type RedisSpace = ReturnType<typeof openRedisSpace>;
