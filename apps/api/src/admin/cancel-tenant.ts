import { ApiError } from '@promptmill/core';
import type { z } from 'zod';
import { createRequestCancel } from '../batches/request-cancel.ts';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { cancelledBatches, TenantParams } from './admin-schemas.ts';

type Dependencies = Pick<
  ApiDependencies,
  'redis' | 'batches' | 'batchesQueue' | 'journal' | 'now' | 'tenantIndex' | 'ring'
>;

/**
 * `POST /v1/admin/tenants/{tenant}/cancel`: cancels all batches of a tenant that can be cancelled. It may create others
 * after that, unless its keys are revoked first. 404 for a tenant that has no key, file or batch.
 */
export const cancelTenant = (dependencies: Dependencies) => {
  const { batches, tenantIndex, ring } = dependencies;
  const requestCancel = createRequestCancel(dependencies);
  return async ({ params }: Call<TenantParams>): Promise<z.output<typeof cancelledBatches>> => {
    const { tenant } = params;
    const cancelled: string[] = [];
    for await (const ids of batches.unended(tenant)) {
      const outcomes = await Promise.all(ids.map(requestCancel));
      cancelled.push(...outcomes.flatMap((outcome) => (outcome.kind === 'cancelled' ? [outcome.batch.id] : [])));
    }
    if (cancelled.length === 0 && !ring.activeKeys().has(tenant) && !(await tenantIndex.all()).includes(tenant))
      throw new ApiError(404, `There is no tenant '${tenant}'.`, { code: 'tenant_not_found', param: 'tenant' });
    return { tenant, cancelled };
  };
};
