import { mastersOf, type RedisConnection, untilReady } from '@promptmill/queue';

/** Finds the keys that match a pattern, on every node. */
export const findKeys = async (redis: RedisConnection, pattern: string): Promise<string[]> => {
  await untilReady(redis);
  return (await Promise.all(mastersOf(redis).map((node) => node.keys(pattern)))).flat();
};

/** Deletes every key that starts with the prefix, on every node. */
export const deleteKeys = async (redis: RedisConnection, prefix: string): Promise<void> => {
  await untilReady(redis);
  for (const node of mastersOf(redis))
    for await (const keys of node.scanStream({ match: `${prefix}:*`, count: 1000 }) as AsyncIterable<string[]>)
      await Promise.all(keys.map((key) => redis.unlink(key)));
};
