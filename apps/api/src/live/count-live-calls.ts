import {
  createLiveCounts,
  type Keys,
  type LiveCount,
  type RedisConnection,
  tellLiveCountsEveryMs,
} from '@promptmill/queue';
import type { LiveCalls } from './live-calls.ts';

export interface CountLiveCallsOptions {
  readonly redis: RedisConnection;
  readonly keys: Keys;
  readonly live: Pick<LiveCalls, 'api' | 'counts'>;
}

/** The calls of all counts with the same name. */
const sumBy = (counts: readonly LiveCount[], nameOf: (count: LiveCount) => string): Map<string, number> => {
  const sums = new Map<string, number>();
  for (const count of counts) sums.set(nameOf(count), (sums.get(nameOf(count)) ?? 0) + count.calls);
  return sums;
};

/** Counts the live calls of all api processes: exactly those of this one, those of the others as of 3 s ago at most. */
export const createCountLiveCalls = ({ redis, keys, live }: CountLiveCallsOptions) => {
  const shared = createLiveCounts(redis, keys, live.api);
  let hasTold = false;

  const tell = async (): Promise<void> => {
    const counts = live.counts();
    const isNone = counts.length === 0;
    if (!isNone) await shared.tell(counts);
    else if (hasTold) await shared.forget();
    hasTold = !isNone;
  };
  const timer = setInterval(() => {
    // When Redis is away, the next turn tells it.
    tell().catch(() => {});
  }, tellLiveCountsEveryMs);

  const all = async (): Promise<LiveCount[]> => [...live.counts(), ...(await shared.ofOthers())];

  return {
    /** Calls whose callers wait, by lane. */
    byLane: async (): Promise<Map<string, number>> => sumBy(await all(), ({ lane }) => lane),

    /** Calls whose callers wait, by tenant. */
    byTenant: async (): Promise<Map<string, number>> => sumBy(await all(), ({ tenant }) => tenant),

    async close(): Promise<void> {
      clearInterval(timer);
      if (hasTold) await shared.forget().catch(() => {});
    },
  };
};

export type CountLiveCalls = ReturnType<typeof createCountLiveCalls>;
