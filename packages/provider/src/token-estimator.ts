import type { BatchUsage, RequestBody } from '@promptmill/core';

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
/** How much of a text is counted. The rest is extrapolated: a tokenizer takes about 1 µs for 4 characters. */
const countedCharacters = 20_000;

/** Every text in a value, at any depth. A data URL does not count as text. */
const textsIn = (value: unknown): string[] => {
  if (typeof value === 'string') return value.startsWith('data:') ? [] : [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
};

const inputTexts = (body: RequestBody): string[] =>
  textsIn([body['messages'], body['prompt'], body['input'], body['instructions'], body['tools']]);

const outputLimit = (body: RequestBody): number => {
  const limits = ['max_completion_tokens', 'max_tokens', 'max_output_tokens'].map((name) => body[name]);
  return limits.find((limit) => typeof limit === 'number') ?? Infinity;
};

const isGenerated = (body: RequestBody): boolean => body['messages'] !== undefined || body['prompt'] !== undefined;

/** Loads the tokenizer, which takes 0.3 s and memory: open an estimator only where one is needed. */
export const openTokenEstimator = async (): Promise<TokenEstimator> => {
  const { countTokens } = await import('gpt-tokenizer');
  /** Running averages. Real and counted input differ: so do providers' tokenizers, and some add tokens to each message. */
  let average: { realInput: number; countedInput: number; output: number } | undefined;
  const counted = new WeakMap<RequestBody, number>();

  const countText = (text: string): number => {
    if (text.length <= countedCharacters) return countTokens(text);
    return Math.ceil((countTokens(text.slice(0, countedCharacters)) * text.length) / countedCharacters);
  };

  const inputOf = (body: RequestBody): number => {
    const known = counted.get(body);
    if (known !== undefined) return known;
    const count = inputTexts(body).reduce((sum, text) => sum + countText(text), 0);
    counted.set(body, count);
    return count;
  };

  return {
    estimate(body) {
      const expected = average?.output ?? firstOutputTokens;
      const outputTokens = isGenerated(body) || average ? Math.min(expected, outputLimit(body)) : 0;
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
