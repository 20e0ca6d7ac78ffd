import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import { createTenantIndex } from '../tenants/tenant-index.ts';

const addToIndex = defineScript<
  [index: string, removed: string, ...part: string[]],
  [id: string, nowMicros: number],
  null
>(new URL('./add-to-index.lua', import.meta.url));
const removeFromIndex = defineScript<
  [index: string, removed: string, removedTimes: string],
  [id: string, nowSeconds: number, rememberSeconds: number],
  null
>(new URL('./remove-from-index.lua', import.meta.url));

/** As long as an idempotency key is remembered, which may name something that was removed. */
const rememberRemovedSeconds = 86_400;

/** When something was created, in Unix milliseconds. */
export interface CreatedSpan {
  readonly fromMs: number;
  readonly beforeMs: number;
}

export type Page<T> = { readonly items: readonly T[]; readonly hasMore: boolean };

/** A tenant's ids, newest first (or oldest), in pages that start after any id, even one that was removed meanwhile. */
export const createCreatedIndex = (redis: RedisConnection, keys: Keys) => {
  const tenants = createTenantIndex(redis, keys);
  const scoreOf = async (index: string, tenant: string, id: string): Promise<string | undefined> => {
    const [score, removed] = await Promise.all([redis.zscore(index, id), redis.hget(keys.removed(tenant), id)]);
    return score ?? removed ?? undefined;
  };
  return {
    /** @param part an index of some of the ids, in which it stands too */
    async add(index: string, tenant: string, id: string, nowMs: number, part?: string): Promise<void> {
      const names = [keys.removed(tenant), ...(part === undefined ? [] : [part])] as const;
      await Promise.all([addToIndex(redis, [index, ...names], [id, Math.round(nowMs * 1000)]), tenants.note(tenant)]);
    },
    async remove(
      index: string,
      tenant: string,
      id: string,
      nowMs: number,
      parts: readonly string[] = [],
    ): Promise<void> {
      await removeFromIndex(
        redis,
        [index, keys.removed(tenant), keys.removedTimes(tenant)],
        [id, Math.floor(nowMs / 1000), rememberRemovedSeconds],
      );
      await Promise.all(parts.map((part) => redis.zrem(part, id)));
    },
    /**
     * Undefined when this index does not know `after`.
     *
     * @param options `part`: the index of some of the ids from which they come; default all. `created`: only with
     *   `desc`; default any time
     */
    async ids(
      index: string,
      tenant: string,
      options: {
        after?: string | undefined;
        limit: number;
        order: 'asc' | 'desc';
        part?: string | undefined;
        created?: CreatedSpan | undefined;
      },
    ): Promise<string[] | undefined> {
      const { after, limit, order, part = index, created } = options;
      const from = after === undefined ? undefined : await scoreOf(index, tenant, after);
      if (after !== undefined && from === undefined) return undefined;
      if (order === 'asc')
        return redis.zrangebyscore(part, from === undefined ? '-inf' : `(${from}`, '+inf', 'LIMIT', 0, limit);
      const before = created ? Math.min(created.beforeMs * 1000, Number(from ?? Infinity)) : from;
      const first = created ? created.fromMs * 1000 : '-inf';
      return redis.zrevrangebyscore(part, before === undefined ? '+inf' : `(${before}`, first, 'LIMIT', 0, limit);
    },
  };
};
