import { costOf, noUsage, type Prices, type RequestJob } from '@promptmill/core';
import { type CountTokens, openTokenCounter, outputLimitOf } from '@promptmill/provider';

/** The output tokens of a call that does not limit them, before any answer is known. */
const firstOutputTokens = 1000;
/** The output tokens of the dearest image of gpt-image-1. Source: https://developers.openai.com/api/docs/guides/image-generation */
const firstImageTokens = 6240;
const withoutOutput = new Set<RequestJob['url']>(['/v1/embeddings', '/v1/moderations']);

/**
 * What a call may cost of whose kind no answer is known, in billionths of a dollar: its input as it is counted, and as much
 * output as it allows. Undefined when a price is unknown.
 */
export type FirstCost = (request: Pick<RequestJob, 'url' | 'body'>, prices: Prices) => Promise<number | undefined>;

/** Loads the tokenizer with the first call. */
export const createFirstCost = (): FirstCost => {
  let opening: Promise<CountTokens> | undefined;
  return async ({ url, body }, prices) => {
    const countTokens = await (opening ??= openTokenCounter());
    const inputTokens = Math.max(1, countTokens(body));
    const choices = typeof body['n'] === 'number' ? body['n'] : 1;
    if (url.startsWith('/v1/images/')) {
      const outputTokens = choices * firstImageTokens;
      return costOf({ ...noUsage, inputTokens, outputTokens, outputImageTokens: outputTokens }, prices);
    }
    const limit = outputLimitOf(body);
    const outputTokens = withoutOutput.has(url) ? 0 : choices * (Number.isFinite(limit) ? limit : firstOutputTokens);
    return costOf({ ...noUsage, inputTokens, outputTokens }, prices);
  };
};
