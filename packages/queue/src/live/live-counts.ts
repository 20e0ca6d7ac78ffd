import type { RedisConnection } from '../connection/redis.ts';
import type { Keys } from '../keys.ts';

/** How many live calls of a tenant wait for their answers in a lane. */
export interface LiveCount {
  readonly lane: string;
  readonly tenant: string;
  readonly calls: number;
}

/** What a process tells is forgotten after this time. */
const lastsMs = 10_000;
/** How often a process is to tell it. */
export const tellLiveCountsEveryMs = 3000;

/** How many live calls the callers of each api process wait for, as that process tells the others. */
export const createLiveCounts = (redis: RedisConnection, keys: Keys, api: string) => ({
  async tell(counts: readonly LiveCount[]): Promise<void> {
    await redis.set(keys.liveCounts(api), JSON.stringify(counts), 'PX', lastsMs);
    await redis.sadd(keys.liveApis, api);
  },

  /** What other processes told last. One that has died is forgotten. */
  async ofOthers(): Promise<LiveCount[]> {
    const apis = (await redis.smembers(keys.liveApis)).filter((other) => other !== api);
    const told = await Promise.all(apis.map((other) => redis.get(keys.liveCounts(other))));
    const gone = apis.filter((_, i) => told[i] === null);
    if (gone.length > 0) await redis.srem(keys.liveApis, ...gone);
    return told.flatMap((counts) => JSON.parse(counts ?? '[]') as LiveCount[]);
  },

  async forget(): Promise<void> {
    await redis.srem(keys.liveApis, api);
    await redis.del(keys.liveCounts(api));
  },
});
