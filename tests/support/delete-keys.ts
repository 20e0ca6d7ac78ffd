import { mastersOf, type RedisConnection, untilReady } from '@promptmill/queue';

/** Deletes every key that starts with the prefix, on every node that has some. */
export const deleteKeys = async (redis: RedisConnection, prefix: string): Promise<void> => {
  await untilReady(redis);
  for (const node of mastersOf(redis))
    for await (const keys of node.scanStream({ match: `${prefix}:*`, count: 1000 }) as AsyncIterable<string[]>)
      await Promise.all(keys.map((key) => redis.unlink(key)));
};
