import { ApiError, type Batch, type BatchObject, describeMaxCost, toBatchObject, usdToNanos } from '@promptmill/core';
import { wakeBatchJob } from '@promptmill/queue';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { withinQueueTimeout } from '../redis-guard.ts';
import { badRequest, hasContent } from '../request-problem.ts';
import type { BatchParams } from './batch-schemas.ts';
import type { ResumeBatchBody } from './create-batch-schemas.ts';
import { findBatch } from './find-batch.ts';

type Dependencies = Pick<
  ApiDependencies,
  'redis' | 'batches' | 'batchesQueue' | 'records' | 'checkPrices' | 'journal' | 'now'
>;

/**
 * `POST /v1/batches/{batch_id}/resume`: a paused batch goes on where it was, within a second or two, with a new `max_cost` if
 * the body says one. Without that it changes nothing for a batch that is not paused. 409 when the batch is stopped,
 * finalizing or terminal, and when it has reached its `max_cost` and the body gives no higher one.
 */
export const resumeBatch = ({ redis, batches, batchesQueue, records, checkPrices, journal, now }: Dependencies) => {
  const checkMaxCost = async ({ tenant, inputFileId, cost }: Batch, maxCostNanoUsd: number): Promise<void> => {
    if (maxCostNanoUsd <= cost.spentNanoUsd + cost.wastedNanoUsd)
      throw badRequest({
        message: `${describeMaxCost({ cost, maxCostNanoUsd })} Give a higher one.`,
        code: 'max_cost_too_low',
        param: 'max_cost',
      });
    const input = await records.get(tenant, inputFileId);
    await checkPrices(tenant, Object.keys(input?.summary?.models ?? {}), 'max_cost');
  };

  return async ({
    tenant,
    params,
    body,
    request,
  }: Call<BatchParams, unknown, ResumeBatchBody>): Promise<BatchObject> => {
    // A body that is not JSON must not count as none.
    if (body === undefined && hasContent(request))
      throw badRequest({ message: 'The request has no JSON body.', code: 'invalid_json', param: null });
    const batch = await findBatch(batches, tenant, params.batch_id);
    const { id, pausedAt, costHold } = batch;
    const maxCostNanoUsd = body?.max_cost === undefined ? undefined : usdToNanos(body.max_cost);
    if (maxCostNanoUsd !== undefined) await checkMaxCost(batch, maxCostNanoUsd);
    else if (pausedAt === undefined && costHold?.limit === 'max_cost' && costHold.reached)
      throw new ApiError(409, `${costHold.reached.reason} Resume it with a higher one: {"max_cost": …}.`, {
        code: 'cost_limit',
        param: 'max_cost',
      });
    const outcome = await batches.resume(id, maxCostNanoUsd);
    if (outcome.kind === 'refused') throw new ApiError(409, `Cannot resume a batch with status '${outcome.status}'.`);
    await withinQueueTimeout(redis, wakeBatchJob(batchesQueue, id));
    if (outcome.kind === 'done') await journal.notePause(id, outcome.pause, now());
    return toBatchObject(await findBatch(batches, tenant, id));
  };
};
