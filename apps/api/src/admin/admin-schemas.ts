import { batchStatuses, type Batch, endpoints, isTenantName, tenantNameRule, toBatchObject } from '@promptmill/core';
import { z } from 'zod';
import { page, seconds } from '../api-schemas.ts';
import { batchQuery } from '../batches/batch-schemas.ts';

const tenantName = z.string().refine(isTenantName, { error: `it must be ${tenantNameRule}` });

export const tenantParams = z.object({ tenant: tenantName });
export type TenantParams = z.output<typeof tenantParams>;

export const adminBatchQuery = batchQuery.extend({ tenant: tenantName });
export type AdminBatchQuery = z.output<typeof adminBatchQuery>;

/** What an admin sees of any tenant's batch: how far it is, and nothing that its owner has written. */
export const adminBatch = z
  .object({
    id: z.string(),
    object: z.literal('batch'),
    tenant: z.string(),
    endpoint: z.enum(endpoints),
    model: z.string().nullable(),
    status: z.enum(batchStatuses),
    created_at: seconds,
    expires_at: seconds,
    cancelling_at: seconds.nullable(),
    paused_at: seconds.nullable(),
    request_counts: z.object({ total: z.int(), completed: z.int(), failed: z.int() }),
    requests_per_second: z.number().nullable(),
  })
  .meta({ id: 'AdminBatch' });

export const adminBatchPage = page(adminBatch).meta({ id: 'AdminBatchList' });

export const toAdminBatch = (batch: Batch): z.input<typeof adminBatch> => {
  const shown = toBatchObject(batch);
  return {
    id: shown.id,
    object: shown.object,
    tenant: batch.tenant,
    endpoint: shown.endpoint,
    model: shown.model,
    status: shown.status,
    created_at: shown.created_at,
    expires_at: shown.expires_at,
    cancelling_at: shown.cancelling_at,
    paused_at: shown.promptmill.paused_at,
    request_counts: shown.request_counts,
    requests_per_second: shown.promptmill.requests_per_second,
  };
};

export const tenantList = z.object({
  object: z.literal('list'),
  data: z.array(
    z
      .object({
        id: z.string().meta({ description: 'Its name.' }),
        object: z.literal('tenant'),
        active_keys: z.int(),
        active_batches: z.int().meta({ description: 'Batches that have not ended.' }),
        queued_requests: z.int().meta({ description: 'Requests of those batches without a result.' }),
        live_calls: z.int().meta({ description: 'Live calls whose callers wait for an answer.' }),
        files: z.int().meta({ description: 'Input, output and error files that are kept.' }),
      })
      .meta({ id: 'Tenant' }),
  ),
});

export const cancelledBatches = z.object({
  tenant: z.string(),
  cancelled: z.array(z.string()).meta({ description: 'The ids of all of its batches that are being cancelled.' }),
});
