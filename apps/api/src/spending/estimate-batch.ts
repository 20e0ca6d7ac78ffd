import { ApiError, findBatchErrors, type RequestLine } from '@promptmill/core';
import { countSampled, createEstimateRequests, type ModelEstimate } from '@promptmill/provider';
import type { z } from 'zod';
import { assertTier } from '../batches/assert-tier.ts';
import type { CreateBatchBody } from '../batches/create-batch-schemas.ts';
import { checkPrompts } from '../batches/check-prompts.ts';
import { findInputFile } from '../batches/find-input-file.ts';
import { findRefusal } from '../batches/find-refusal.ts';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { badRequest } from '../request-problem.ts';
import { readKnownAnswers } from './known-answers.ts';
import { sampleFile, samplePrompts } from './sample-input.ts';
import type { batchEstimate } from './spending-schemas.ts';

interface Input {
  readonly requests: number;
  readonly sample: AsyncIterable<readonly RequestLine[]>;
}

type Dependencies = Pick<ApiDependencies, 'config' | 'records' | 'files' | 'tenants' | 'usage' | 'measuring' | 'now'>;

type Estimate = z.output<typeof batchEstimate>;

const costObject = ({ usd }: ModelEstimate) => ({ currency: 'USD' as const, ...usd });

/** Nobody knows how many requests of a batch get copies: perhaps all. */
const perhapsCopied = <T extends Pick<ModelEstimate, 'usd' | 'outputTokens'>>(estimate: T): T => ({
  ...estimate,
  outputTokens: { ...estimate.outputTokens, low: estimate.outputTokens.low === null ? null : 0 },
  usd: { ...estimate.usd, low: estimate.usd.low === null ? null : 0 },
});

/**
 * `POST /v1/batches/estimate`: what a batch with this body would use and cost. It makes nothing. 400 when the batch would
 * fail, with its first error.
 */
export const estimateBatch = ({ config, records, files, tenants, usage, measuring, now }: Dependencies) => {
  const { lanes, limits } = config;
  const estimateRequests = createEstimateRequests({ lanes, now });
  const underWay = new Set<string>();

  const readFile = async (
    tenant: string,
    body: Extract<CreateBatchBody, { input_file_id: string }>,
  ): Promise<Input> => {
    const { id, bytes, summary } = await findInputFile(records, tenant, body.input_file_id);
    if (!summary) throw new Error(`the input file ${id} has no summary`);
    const [error] = findBatchErrors(summary, {
      endpoint: body.endpoint,
      maxRequests: limits.maxRequestsPerBatch,
      refusalOf: (model) => findRefusal(lanes, tenants.limitsOf(tenant), model),
    });
    if (error) {
      const where = error.line === null ? '' : `Line ${error.line}: `;
      throw badRequest({ ...error, message: where + error.message });
    }
    return { requests: summary.requests, sample: sampleFile(files, id, bytes) };
  };

  const assertTaken = (tenant: string, model: string): void => {
    const refusal = findRefusal(lanes, tenants.limitsOf(tenant), model);
    if (refusal) throw badRequest({ ...refusal, param: 'model' });
  };

  const estimate = async (tenant: string, body: CreateBatchBody): Promise<Estimate> => {
    if ('prompts' in body) await checkPrompts(body);
    const { requests, sample } =
      'prompts' in body ? { requests: body.prompts.length, sample: samplePrompts(body) } : await readFile(tenant, body);
    const samples = await measuring.measure(sample);
    const counted = countSampled(samples);
    if (counted === 0)
      throw badRequest({
        message: 'The lines of the input file are too long for an estimate.',
        code: 'not_estimable',
        param: 'input_file_id',
      });
    for (const model of samples.keys()) assertTaken(tenant, model);
    const tier = body.promptmill?.tier;
    assertTier(lanes, tier, body.endpoint, samples.keys());
    const known = await readKnownAnswers(usage, tenant, now());
    const called = await estimateRequests({ requests, samples, known, tier });
    const mayCopy = body.promptmill?.dedupe || body.promptmill?.cache !== undefined;
    const estimated = mayCopy ? { ...perhapsCopied(called), models: called.models.map(perhapsCopied) } : called;
    return {
      object: 'batch.estimate',
      requests,
      counted_requests: counted,
      input_tokens: estimated.inputTokens,
      output_tokens: estimated.outputTokens,
      cost: costObject(estimated),
      models: estimated.models.map((each) => ({
        model: each.model,
        requests: each.requests,
        known_answers: each.knownAnswers,
        input_tokens: each.inputTokens,
        output_tokens: each.outputTokens,
        cost: costObject(each),
      })),
    };
  };

  return async ({ tenant, body }: Call<unknown, unknown, CreateBatchBody>): Promise<Estimate> => {
    // Counting tokens takes processor time.
    if (underWay.has(tenant))
      throw new ApiError(429, 'Another estimate of yours is under way. Wait for its end.', {
        code: 'too_many_estimates',
      });
    underWay.add(tenant);
    try {
      return await estimate(tenant, body);
    } finally {
      underWay.delete(tenant);
    }
  };
};
