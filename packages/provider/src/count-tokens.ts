import type { RequestBody } from '@promptmill/core';

/** How much of a text is counted. The rest is extrapolated: a tokenizer takes about 1 µs for 4 characters. */
const countedCharacters = 20_000;

/** Every text in a value, at any depth. A data URL does not count as text. */
const textsIn = (value: unknown): string[] => {
  if (typeof value === 'string') return value.startsWith('data:') ? [] : [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
};

const inputTexts = (body: RequestBody): string[] =>
  textsIn([body['messages'], body['prompt'], body['input'], body['instructions'], body['tools']]);

/** Characters (UTF-16 code units) of all texts of a request. */
export const inputCharactersOf = (body: RequestBody): number =>
  inputTexts(body).reduce((sum, { length }) => sum + length, 0);

/** The most output tokens that a request allows; Infinity when it does not say. */
export const outputLimitOf = (body: RequestBody): number => {
  const limits = ['max_completion_tokens', 'max_tokens', 'max_output_tokens'].map((name) => body[name]);
  return limits.find((limit) => typeof limit === 'number') ?? Infinity;
};

/** Counts the tokens of all texts of a request, as OpenAI's models do. */
export type CountTokens = (body: RequestBody) => number;

/** Loads the tokenizer, which takes 0.3 s and memory: open a counter only where one is needed. */
export const openTokenCounter = async (): Promise<CountTokens> => {
  const { countTokens } = await import('gpt-tokenizer');
  const countText = (text: string): number => {
    if (text.length <= countedCharacters) return countTokens(text);
    return Math.ceil((countTokens(text.slice(0, countedCharacters)) * text.length) / countedCharacters);
  };
  return (body) => inputTexts(body).reduce((sum, text) => sum + countText(text), 0);
};
