import { ApiError, type Batch, type BatchObject, isTerminal, usdToNanos } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { idempotencyHeaders } from '../idempotency.ts';
import { badRequest, checkRequest, hasContent } from '../request-problem.ts';
import type { BatchParams } from './batch-schemas.ts';
import { assertTier } from './assert-tier.ts';
import { batchWebhookOf, toCreatedObject } from './batch-webhook.ts';
import type { RetryBatchBody } from './create-batch-schemas.ts';
import type { Creation } from './creation.ts';
import { findBatch } from './find-batch.ts';
import { type BatchTerms, createMakeBatch } from './make-batch.ts';
import { retryLines } from './retry-lines.ts';
import { createStoreInput } from './store-input.ts';

type Dependencies = Parameters<typeof createMakeBatch>[0] &
  Pick<ApiDependencies, 'config' | 'records' | 'files' | 'receiveInput' | 'checkPrices'>;

const assertEnded = ({ status }: Batch): void => {
  if (!isTerminal(status))
    throw new ApiError(409, `Cannot retry a batch with status '${status}'. Wait for its end, or cancel it.`);
  if (status === 'failed')
    throw new ApiError(409, `Cannot retry a batch with status '${status}': none of its requests was run.`);
};

/**
 * `POST /v1/batches/{batch_id}/retry`: makes a new batch of requests of an ended batch, by default of all that failed.
 * Each names the other. 409 while it has not ended, 400 when nothing is chosen or the input is gone.
 */
export const retryBatch = (dependencies: Dependencies) => {
  const { config, batches, files, records, checkPrices } = dependencies;
  const makeBatch = createMakeBatch(dependencies);
  const storeInput = createStoreInput(dependencies);

  const prepare = async (origin: Batch, body: RetryBatchBody, creation: Creation): Promise<BatchTerms> => {
    assertEnded(origin);
    const { id, tenant, endpoint, outputExpiresAfterSeconds, checkSchema } = origin;
    const input = await records.get(tenant, origin.inputFileId);
    if (!input)
      throw badRequest({
        message: `The input file ${origin.inputFileId} of this batch is gone.`,
        code: 'file_not_found',
        param: null,
      });
    const webhook = batchWebhookOf(dependencies, body?.promptmill) ?? origin.webhook;
    const maxCost = body?.promptmill?.max_cost;
    const maxCostNanoUsd = maxCost === undefined ? origin.maxCostNanoUsd : usdToNanos(maxCost);
    const {
      dedupe = origin.dedupe,
      cache = origin.cache,
      tier = origin.tier,
      strategy = origin.strategy,
    } = body?.promptmill ?? {};
    const param = maxCostNanoUsd === undefined ? undefined : 'promptmill.max_cost';
    const models = Object.keys(input.summary?.models ?? {});
    assertTier(config.lanes, tier, endpoint, models);
    await checkPrices(tenant, models, param);
    const lines = retryLines(files, origin, { customIds: body?.custom_ids, errorCodes: body?.error_codes });
    await storeInput(lines, { ...creation, tenant, filename: `${id}_retry.jsonl` });
    return {
      endpoint,
      inputFileId: creation.inputFileId,
      completionWindow: body?.completion_window ?? origin.completionWindow,
      metadata: body?.metadata === undefined ? origin.metadata : body.metadata,
      ...(maxCostNanoUsd === undefined ? {} : { maxCostNanoUsd }),
      ...(outputExpiresAfterSeconds === undefined ? {} : { outputExpiresAfterSeconds }),
      ...(checkSchema ? { checkSchema } : {}),
      ...(dedupe ? { dedupe } : {}),
      ...(cache === undefined ? {} : { cache }),
      ...(tier === undefined ? {} : { tier }),
      ...(strategy === undefined ? {} : { strategy }),
      ...(webhook ? { webhook } : {}),
      retryOf: id,
    };
  };

  return async ({
    tenant,
    params,
    body,
    request,
    response,
  }: Call<BatchParams, unknown, RetryBatchBody>): Promise<BatchObject> => {
    const { 'idempotency-key': key } = checkRequest(idempotencyHeaders, request.headers);
    const traceparent = request.header('traceparent');
    // A body that is not JSON must not count as an empty choice.
    if (body === undefined && hasContent(request))
      throw badRequest({ message: 'The request has no JSON body.', code: 'invalid_json', param: null });
    const origin = await findBatch(batches, tenant, params.batch_id);
    const content = { retryOf: origin.id, ...body };
    const order = {
      tenant,
      key,
      content,
      isGone: () => response.destroyed,
      traceparent,
      prepare: (creation: Creation) => prepare(origin, body, creation),
    };
    return toCreatedObject(await makeBatch(order), body?.promptmill);
  };
};
