import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { BatchParams } from './batch-schemas.ts';
import { findBatch } from './find-batch.ts';

/** `GET /v1/batches/{batch_id}/progress`: how far the batch was at some times, to draw its curve. */
export const showProgress =
  ({ batches }: Pick<ApiDependencies, 'batches'>) =>
  async ({ tenant, params }: Call<BatchParams>) => {
    const { id } = await findBatch(batches, tenant, params.batch_id);
    return { object: 'list' as const, data: await batches.progress(id) };
  };
