import { type BatchObject, field, usdToNanos } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { idempotencyHeaders } from '../idempotency.ts';
import { checkRequest } from '../request-problem.ts';
import type { CreateBatchBody, PromptBatch } from './create-batch-schemas.ts';
import { assertTier } from './assert-tier.ts';
import { batchWebhookOf, toCreatedObject } from './batch-webhook.ts';
import { checkPrompts } from './check-prompts.ts';
import type { Creation } from './creation.ts';
import { findInputFile } from './find-input-file.ts';
import { type BatchTerms, createMakeBatch } from './make-batch.ts';
import { createStoreInput } from './store-input.ts';
import { promptLines } from './prompt-lines.ts';

type Dependencies = Parameters<typeof createMakeBatch>[0] &
  Pick<ApiDependencies, 'config' | 'records' | 'receiveInput' | 'checkPrices'>;

const modelsOf = ({ model, prompts }: PromptBatch): Set<string> => {
  const named = prompts.map((prompt) => field(prompt, 'model') ?? model);
  return new Set(named.filter((name) => typeof name === 'string'));
};

/** `POST /v1/batches`, from an input file or from prompts. */
export const createBatch = (dependencies: Dependencies) => {
  const { config, records, checkPrices } = dependencies;
  const makeBatch = createMakeBatch(dependencies);
  const storeInput = createStoreInput(dependencies);

  const prepare = async (tenant: string, body: CreateBatchBody, creation: Creation): Promise<BatchTerms> => {
    const webhook = batchWebhookOf(dependencies, body.promptmill);
    const maxCost = body.promptmill?.max_cost;
    const param = maxCost === undefined ? undefined : 'promptmill.max_cost';
    const { tier } = body.promptmill ?? {};
    if ('prompts' in body) {
      assertTier(config.lanes, tier, body.endpoint, modelsOf(body));
      await checkPrices(tenant, modelsOf(body), param);
      await storeInput(promptLines(body), { ...creation, tenant, filename: 'prompts.jsonl' });
    } else {
      const { summary } = await findInputFile(records, tenant, body.input_file_id);
      const models = Object.keys(summary?.models ?? {});
      assertTier(config.lanes, tier, body.endpoint, models);
      await checkPrices(tenant, models, param);
    }
    const { endpoint, completion_window: completionWindow, metadata = null, output_expires_after: expiry } = body;
    return {
      endpoint,
      inputFileId: 'prompts' in body ? creation.inputFileId : body.input_file_id,
      completionWindow,
      metadata,
      ...(maxCost === undefined ? {} : { maxCostNanoUsd: usdToNanos(maxCost) }),
      ...(expiry ? { outputExpiresAfterSeconds: expiry.seconds } : {}),
      ...(body.promptmill?.check_schema ? { checkSchema: true } : {}),
      ...(body.promptmill?.dedupe ? { dedupe: true } : {}),
      ...(tier === undefined ? {} : { tier }),
      ...(body.promptmill?.cache === undefined ? {} : { cache: body.promptmill.cache }),
      ...(body.promptmill?.strategy === undefined ? {} : { strategy: body.promptmill.strategy }),
      ...(webhook ? { webhook } : {}),
    };
  };

  return async ({ tenant, body, request, response }: Call<unknown, unknown, CreateBatchBody>): Promise<BatchObject> => {
    const { 'idempotency-key': key } = checkRequest(idempotencyHeaders, request.headers);
    const traceparent = request.header('traceparent');
    if ('prompts' in body) await checkPrompts(body);
    const order = {
      tenant,
      key,
      content: body,
      isGone: () => response.destroyed,
      traceparent,
      prepare: (creation: Creation) => prepare(tenant, body, creation),
    };
    return toCreatedObject(await makeBatch(order), body.promptmill);
  };
};
