import { ApiError, findBatchErrors, fullModelName, type RequestLine } from '@promptmill/core';
import { createPriceList } from '@promptmill/provider';
import type { z } from 'zod';
import type { CreateBatchBody } from '../batches/create-batch-schemas.ts';
import { checkPrompts } from '../batches/check-prompts.ts';
import { findInputFile } from '../batches/find-input-file.ts';
import { findRefusal } from '../batches/find-refusal.ts';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { badRequest } from '../request-problem.ts';
import { estimateModel, type ModelSample, type Range } from './estimate-model.ts';
import { readKnownAnswers } from './known-answers.ts';
import { sampleFile, samplePrompts } from './sample-input.ts';
import type { batchEstimate } from './spending-schemas.ts';

interface Input {
  readonly requests: number;
  readonly sample: AsyncIterable<readonly RequestLine[]>;
}

type Dependencies = Pick<ApiDependencies, 'config' | 'records' | 'files' | 'tenants' | 'usage' | 'measuring' | 'now'>;

type Estimate = z.output<typeof batchEstimate>;

const sumOf = (values: readonly (number | null)[]): number | null =>
  values.some((value) => value === null) ? null : values.reduce<number>((sum, value) => sum + (value ?? 0), 0);

const sumOfRanges = (ranges: readonly Range[]): Range => ({
  low: sumOf(ranges.map(({ low }) => low)),
  expected: sumOf(ranges.map(({ expected }) => expected)),
  high: sumOf(ranges.map(({ high }) => high)),
});

/** Nobody knows how many requests of a batch get copies: perhaps all. */
const perhapsCopied = (range: Range): Range => (range.low === null ? range : { ...range, low: 0 });

const costObject = (usd: Range) => ({ currency: 'USD' as const, ...usd });

/**
 * `POST /v1/batches/estimate`: what a batch with this body would use and cost. It makes nothing. 400 when the batch would
 * fail, with its first error.
 */
export const estimateBatch = ({ config, records, files, tenants, usage, measuring, now }: Dependencies) => {
  const { lanes, limits } = config;
  const prices = createPriceList(now);
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

  const routeOf = (tenant: string, model: string) => {
    const refusal = findRefusal(lanes, tenants.limitsOf(tenant), model);
    const route = lanes.route(model);
    if (refusal || !route) throw badRequest({ message: '', code: 'model_not_found', ...refusal, param: 'model' });
    return route;
  };

  const estimate = async (tenant: string, body: CreateBatchBody): Promise<Estimate> => {
    if ('prompts' in body) await checkPrompts(body);
    const { requests, sample } =
      'prompts' in body ? { requests: body.prompts.length, sample: samplePrompts(body) } : await readFile(tenant, body);
    const samples = await measuring.measure(sample);
    const counted = [...samples.values()].reduce((sum, each) => sum + each.requests, 0);
    if (counted === 0)
      throw badRequest({
        message: 'The lines of the input file are too long for an estimate.',
        code: 'not_estimable',
        param: 'input_file_id',
      });
    const known = await readKnownAnswers(usage, tenant, now());

    const estimateOf = async (model: string, ofModel: ModelSample) => {
      const route = routeOf(tenant, model);
      const name = fullModelName(route);
      const answers = known.get(name);
      const share = Math.round((requests * ofModel.requests) / counted);
      const found = await prices.pricesOf(route.lane.provider, { model: route.model });
      const { inputTokens, ...called } = estimateModel(share, ofModel, answers, found);
      const mayCopy = body.promptmill?.dedupe || body.promptmill?.cache !== undefined;
      const outputTokens = mayCopy ? perhapsCopied(called.outputTokens) : called.outputTokens;
      const usd = mayCopy ? perhapsCopied(called.usd) : called.usd;
      return { name, share, known: answers?.answers ?? 0, inputTokens, outputTokens, usd };
    };
    const models = await Promise.all([...samples].map(([model, ofModel]) => estimateOf(model, ofModel)));
    return {
      object: 'batch.estimate',
      requests,
      counted_requests: counted,
      input_tokens: models.reduce((sum, { inputTokens }) => sum + inputTokens, 0),
      output_tokens: sumOfRanges(models.map(({ outputTokens }) => outputTokens)),
      cost: costObject(sumOfRanges(models.map(({ usd }) => usd))),
      models: models.map(({ name, share, known: answers, inputTokens, outputTokens, usd }) => ({
        model: name,
        requests: share,
        known_answers: answers,
        input_tokens: inputTokens,
        output_tokens: outputTokens,
        cost: costObject(usd),
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
