import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import { createTenantIndex } from '../tenants/tenant-index.ts';

const addToIndex = defineScript<[index: string, removed: string], [id: string, nowMicros: number], null>(
  new URL('./add-to-index.lua', import.meta.url),
);
const removeFromIndex = defineScript<
  [index: string, removed: string, removedTimes: string],
  [id: string, nowSeconds: number, rememberSeconds: number],
  null
>(new URL('./remove-from-index.lua', import.meta.url));

/** As long as an idempotency key is remembered, which may name something that was removed. */
const rememberRemovedSeconds = 86_400;

export type Page<T> = { readonly items: readonly T[]; readonly hasMore: boolean };

/** A tenant's ids, newest first (or oldest), in pages that start after any id, even one that was removed meanwhile. */
export const createCreatedIndex = (redis: RedisConnection, keys: Keys) => {
  const tenants = createTenantIndex(redis, keys);
  const scoreOf = async (index: string, tenant: string, id: string): Promise<string | undefined> => {
    const [score, removed] = await Promise.all([redis.zscore(index, id), redis.hget(keys.removed(tenant), id)]);
    return score ?? removed ?? undefined;
  };
  return {
    async add(index: string, tenant: string, id: string, nowMs: number): Promise<void> {
      await Promise.all([
        addToIndex(redis, [index, keys.removed(tenant)], [id, Math.round(nowMs * 1000)]),
        tenants.note(tenant),
      ]);
    },
    async remove(index: string, tenant: string, id: string, nowMs: number): Promise<void> {
      await removeFromIndex(
        redis,
        [index, keys.removed(tenant), keys.removedTimes(tenant)],
        [id, Math.floor(nowMs / 1000), rememberRemovedSeconds],
      );
    },
    /** Undefined when this index does not know `after`. */
    async ids(
      index: string,
      tenant: string,
      options: { after?: string | undefined; limit: number; order: 'asc' | 'desc' },
    ): Promise<string[] | undefined> {
      const { after, limit, order } = options;
      const from = after === undefined ? undefined : await scoreOf(index, tenant, after);
      if (after !== undefined && from === undefined) return undefined;
      return order === 'desc'
        ? redis.zrevrangebyscore(index, from === undefined ? '+inf' : `(${from}`, '-inf', 'LIMIT', 0, limit)
        : redis.zrangebyscore(index, from === undefined ? '-inf' : `(${from}`, '+inf', 'LIMIT', 0, limit);
    },
  };
};
