import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';

/** After this time a tenant is noted again: Redis may have lost its latest writes. */
const noteAgainMs = 600_000;

/** The tenants that have made a file or a batch. */
export const createTenantIndex = (redis: RedisConnection, keys: Keys) => {
  const notedAtMs = new Map<string, number>();
  return {
    /**
     * Costs a command only at a tenant's first file or batch, and then every ten minutes. A failure is no reason to
     * refuse the file or batch: the next one notes the tenant.
     */
    async note(tenant: string): Promise<void> {
      const nowMs = performance.now();
      if (nowMs - (notedAtMs.get(tenant) ?? -Infinity) < noteAgainMs) return;
      notedAtMs.set(tenant, nowMs);
      await redis.sadd(keys.tenants, tenant).catch(() => notedAtMs.delete(tenant));
    },
    all: (): Promise<string[]> => redis.smembers(keys.tenants),
  };
};

export type TenantIndex = ReturnType<typeof createTenantIndex>;
