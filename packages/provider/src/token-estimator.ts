import type { BatchUsage, RequestBody } from '@promptmill/core';
import { openTokenCounter, outputLimitOf } from './count-tokens.ts';

/** Estimates the tokens that a call will use, and learns from what calls have used. */
export interface TokenEstimator {
  /** Input and output tokens together: on the whole neither too many nor too few. */
  estimate(body: RequestBody): number;
  /** Learns from an answer. One that does not say what it used is left out. */
  learn(body: RequestBody, usage: BatchUsage): void;
}

/** The estimate for an answer before the first one has come. */
const firstOutputTokens = 256;
/** The weight of the latest answer in the running averages. */
const weight = 0.05;
const isGenerated = (body: RequestBody): boolean => body['messages'] !== undefined || body['prompt'] !== undefined;

/** Loads the tokenizer: open an estimator only where one is needed. */
export const openTokenEstimator = async (): Promise<TokenEstimator> => {
  const countInput = await openTokenCounter();
  /** Running averages. Real and counted input differ: so do providers' tokenizers, and some add tokens to each message. */
  let average: { realInput: number; countedInput: number; output: number } | undefined;
  const counted = new WeakMap<RequestBody, number>();

  const inputOf = (body: RequestBody): number => {
    const known = counted.get(body);
    if (known !== undefined) return known;
    const count = countInput(body);
    counted.set(body, count);
    return count;
  };

  return {
    estimate(body) {
      const expected = average?.output ?? firstOutputTokens;
      const outputTokens = isGenerated(body) || average ? Math.min(expected, outputLimitOf(body)) : 0;
      const inputRatio = average && average.countedInput > 0 ? average.realInput / average.countedInput : 1;
      return Math.max(1, Math.round(inputOf(body) * inputRatio + outputTokens));
    },
    learn(body, { inputTokens, outputTokens }) {
      if (inputTokens === 0) return;
      const countedInput = inputOf(body);
      average ??= { realInput: inputTokens, countedInput, output: outputTokens };
      average.realInput += weight * (inputTokens - average.realInput);
      average.countedInput += weight * (countedInput - average.countedInput);
      average.output += weight * (outputTokens - average.output);
    },
  };
};
