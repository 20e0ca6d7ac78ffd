import type { RequestBody } from '@promptmill/core';

/** Every text in a value, at any depth. A data URL does not count as text. */
const textsIn = (value: unknown): string[] => {
  if (typeof value === 'string') return value.startsWith('data:') ? [] : [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
};

const inputTexts = (body: RequestBody): string[] =>
  textsIn([body['messages'], body['prompt'], body['input'], body['instructions'], body['tools']]);

const lengthOf = (texts: readonly string[]): number => texts.reduce((sum, { length }) => sum + length, 0);

/** Characters (UTF-16 code units) of all texts of a request. */
export const inputCharactersOf = (body: RequestBody): number => lengthOf(inputTexts(body));

/** The most output tokens that a request allows; Infinity when it does not say. */
export const outputLimitOf = (body: RequestBody): number => {
  const limits = ['max_completion_tokens', 'max_tokens', 'max_output_tokens'].map((name) => body[name]);
  return limits.find((limit) => typeof limit === 'number') ?? Infinity;
};

/** Counts the tokens of all texts of a request, as OpenAI's models do. */
export type CountTokens = (body: RequestBody) => number;

/** The tokenizer takes a time that grows with the square of the length of a run without a break. */
const longRun = /\S{64}|\s{64}/g;

/** Cuts a text after each {@link longRun}. */
const cutRuns = (text: string): string[] => {
  const ends = Array.from(text.matchAll(longRun), ({ index, 0: { length } }) => index + length);
  return [...ends, text.length].map((end, i) => text.slice(ends[i - 1] ?? 0, end));
};

/**
 * Loads the tokenizer, which takes 0.3 s and memory: open a counter only where one is needed.
 *
 * @param maxCharacters how many characters of a request are counted; the rest is extrapolated. A tokenizer takes some
 *   250 µs for 1000, and up to 10 ms for 1000 of random letters.
 */
export const openTokenCounter = async (maxCharacters = 20_000): Promise<CountTokens> => {
  const { countTokens } = await import('gpt-tokenizer');
  // A prompt may quote a special token; to a provider it is text.
  const asText = { disallowedSpecial: new Set<string>() };
  const countText = (text: string): number =>
    cutRuns(text).reduce((sum, piece) => sum + (piece === '' ? 0 : countTokens(piece, asText)), 0);

  return (body) => {
    const texts = inputTexts(body);
    const characters = lengthOf(texts);
    const share = Math.min(1, maxCharacters / characters);
    const counted = share === 1 ? texts : texts.map((text) => text.slice(0, Math.ceil(text.length * share)));
    const tokens = counted.reduce((sum, text) => sum + countText(text), 0);
    return share === 1 ? tokens : Math.ceil((tokens * characters) / lengthOf(counted));
  };
};
