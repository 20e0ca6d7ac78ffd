import type { z } from 'zod';
import type { ApiDependencies } from '../dependencies.ts';
import { withinQueueTimeout } from '../redis-guard.ts';
import { activeBatches } from './active-batches.ts';
import type { tenantList } from './admin-schemas.ts';

type Dependencies = Pick<
  ApiDependencies,
  'redis' | 'tenantIndex' | 'ring' | 'records' | 'batches' | 'batchesQueue' | 'countLiveCalls'
>;

/** `GET /v1/admin/tenants`: every tenant that has a key, a file, a batch or a live call, and what it uses. */
export const listTenants = (dependencies: Dependencies) => {
  const { redis, tenantIndex, ring, records, countLiveCalls } = dependencies;

  const countBatches = async () => {
    const counts = new Map<string, { batches: number; requests: number }>();
    for await (const { tenant, total, completed, failed } of activeBatches(dependencies)) {
      const { batches, requests } = counts.get(tenant) ?? { batches: 0, requests: 0 };
      counts.set(tenant, { batches: batches + 1, requests: requests + total - completed - failed });
    }
    return counts;
  };

  return async (): Promise<z.output<typeof tenantList>> => {
    const keys = ring.activeKeys();
    const [noted, counts, liveCalls] = await Promise.all([
      tenantIndex.all(),
      withinQueueTimeout(redis, countBatches()),
      countLiveCalls.byTenant(),
    ]);
    const names = [...new Set([...keys.keys(), ...noted, ...counts.keys(), ...liveCalls.keys()])].sort();
    const data = await Promise.all(
      names.map(async (id) => ({
        id,
        object: 'tenant' as const,
        active_keys: keys.get(id) ?? 0,
        active_batches: counts.get(id)?.batches ?? 0,
        queued_requests: counts.get(id)?.requests ?? 0,
        live_calls: liveCalls.get(id) ?? 0,
        files: await records.count(id),
      })),
    );
    return { object: 'list', data };
  };
};
