import { type BatchObject, toBatchObject } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { BatchParams } from './batch-schemas.ts';
import { findBatch } from './find-batch.ts';

/** `GET /v1/batches/{batch_id}` */
export const getBatch =
  ({ batches }: Pick<ApiDependencies, 'batches'>) =>
  async ({ tenant, params }: Call<BatchParams>): Promise<BatchObject> =>
    toBatchObject(await findBatch(batches, tenant, params.batch_id));
