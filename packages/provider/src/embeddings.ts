import { isJsonObject, type JsonObject, type RequestBody } from '@promptmill/core';

/** The inputs of a request for embeddings. */
export interface EmbeddingInputs {
  /** A call has inputs of one kind: texts, or lists of tokens. */
  readonly kind: 'texts' | 'tokens';
  readonly items: readonly (string | readonly number[])[];
  /** Bytes of its texts, or its tokens. What a call used is shared out by it. */
  readonly size: number;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isTokens = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every((token) => Number.isInteger(token));
const isListOf = <T>(value: unknown, isItem: (item: unknown) => item is T): value is T[] =>
  Array.isArray(value) && value.length > 0 && value.every(isItem);

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0);

const texts = (items: readonly string[]): EmbeddingInputs => ({
  kind: 'texts',
  items,
  size: sumOf(items.map((text) => Buffer.byteLength(text))),
});
const tokenLists = (items: readonly (readonly number[])[]): EmbeddingInputs => ({
  kind: 'tokens',
  items,
  size: sumOf(items.map(({ length }) => length)),
});

/**
 * The inputs of a request: a text, a list of tokens, or several of one of them. Undefined when its `input` is none of
 * these, or has an empty text, so that its provider is to say what is wrong.
 * Source: https://platform.openai.com/docs/api-reference/embeddings/create
 */
export const embeddingInputsOf = ({ input }: RequestBody): EmbeddingInputs | undefined => {
  if (isText(input)) return texts([input]);
  if (isListOf(input, isText)) return texts(input);
  if (isTokens(input)) return tokenLists([input]);
  if (isListOf(input, isTokens)) return tokenLists(input);
  return undefined;
};

/** Fewer bytes for a token would count too few tokens for languages without spaces. */
const bytesPerToken = 3;

/** How many tokens inputs have, without a tokenizer: as a rule some too many. */
export const guessTokens = ({ kind, size }: EmbeddingInputs): number =>
  kind === 'tokens' ? size : Math.ceil(size / bytesPerToken);

/**
 * Shares a whole number out in proportion to sizes, each share within 1 of its exact part. Each gets 1 at least where there
 * is enough. The shares add up to the total.
 */
export const shareOut = (total: number, sizes: readonly number[]): number[] => {
  const least = total >= sizes.length ? 1 : 0;
  const rest = total - least * sizes.length;
  const sum = sumOf(sizes);
  let before = 0;
  let given = 0;
  return sizes.map((size) => {
    before += size;
    const share = Math.round((rest * before) / sum) - given;
    given += share;
    return least + share;
  });
};

const tokenCounts = ['prompt_tokens', 'input_tokens', 'total_tokens'] as const;

/** The usage of each request of a call: its part of each count of tokens, and all else as it is. */
const shareUsage = (usage: JsonObject, sizes: readonly number[]): JsonObject[] => {
  const shares = tokenCounts.flatMap((name) => {
    const total = usage[name];
    return typeof total === 'number' && Number.isInteger(total) ? [[name, shareOut(total, sizes)] as const] : [];
  });
  return sizes.map((_, i) => ({ ...usage, ...Object.fromEntries(shares.map(([name, share]) => [name, share[i]])) }));
};

/** The entries of an answer in the order of its inputs. Undefined when there is not one for each. */
const inOrder = (data: unknown, count: number): JsonObject[] | undefined => {
  if (!Array.isArray(data) || data.length !== count) return undefined;
  const entries = new Map<unknown, JsonObject>();
  for (const [i, entry] of data.entries()) if (isJsonObject(entry)) entries.set(entry['index'] ?? i, entry);
  const ordered = data.map((_, i) => entries.get(i));
  return ordered.every((entry) => entry !== undefined) ? ordered : undefined;
};

/**
 * The answer to each request of a call, from the answer to the call: its own entries, numbered from 0, and its own usage.
 * Undefined when the answer does not have an entry for each input.
 */
export const splitEmbeddings = (answer: JsonObject, requests: readonly EmbeddingInputs[]): JsonObject[] | undefined => {
  const counts = requests.map(({ items }) => items.length);
  const entries = inOrder(answer['data'], sumOf(counts));
  if (!entries) return undefined;
  const { usage } = answer;
  const usages = isJsonObject(usage)
    ? shareUsage(
        usage,
        requests.map(({ size }) => size),
      )
    : undefined;
  const answers: JsonObject[] = [];
  let first = 0;
  for (const [i, count] of counts.entries()) {
    const own = entries.slice(first, (first += count));
    for (const [index, entry] of own.entries()) if ('index' in entry) entry['index'] = index;
    answers.push({ ...answer, data: own, ...(usages ? { usage: usages[i] } : {}) });
  }
  return answers;
};
