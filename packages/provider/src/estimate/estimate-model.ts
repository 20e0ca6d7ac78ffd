import { costOf, nanosToUsd, type Prices } from '@promptmill/core';

/** What some requests of one model ask for. */
export interface ModelSample {
  readonly requests: number;
  /** Tokens of their texts, by OpenAI's tokenizer. */
  readonly tokens: number;
  /** Characters of their texts. */
  readonly characters: number;
  /** For each request the most output tokens it allows, and Infinity when it does not say. */
  readonly outputLimits: readonly number[];
}

/** What is known of a model's answers. */
export interface KnownAnswers {
  readonly answers: number;
  /** Tokens that the provider counted, of all these answers together. */
  readonly inputTokens: number;
  /** Of the input tokens, those that the provider had cached. */
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** Characters of the texts of their requests. */
  readonly inputCharacters: number;
}

/** `expected` is null when no answer is known, `high` is null when nothing limits it, and all are when the price is unknown. */
export interface Range {
  readonly low: number | null;
  readonly expected: number | null;
  readonly high: number | null;
}

export interface ModelEstimate {
  readonly inputTokens: number;
  readonly outputTokens: Range;
  /** In USD. */
  readonly usd: Range;
}

/** What providers add to each request of a chat, at most. OpenAI adds 7 to one message. */
const mostAddedTokens = 12;
const usuallyAddedTokens = 7;
/** By how much another tokenizer may differ from OpenAI's. */
const tokenizerRatio = { least: 0.5, most: 2 };

/** The part of the expected cost that the bill may differ by: lengths of answers vary by about 70 % of their mean. */
const marginOf = (answers: number): number => Math.max(0.1, 1.4 / Math.sqrt(answers));

/**
 * The input tokens of requests, as their provider counts them. Known answers tell what it adds to each request, and how its
 * tokenizer differs.
 */
const inputTokensOf = ({ requests, tokens, characters }: ModelSample, known: KnownAnswers | undefined): number => {
  if (!known || known.answers === 0 || known.inputCharacters === 0 || characters === 0)
    return tokens + usuallyAddedTokens * requests;
  const counted = known.inputCharacters * (tokens / characters);
  const added = Math.min(mostAddedTokens, Math.max(0, (known.inputTokens - counted) / known.answers));
  const ratio = (known.inputTokens - added * known.answers) / counted;
  return tokens * Math.min(tokenizerRatio.most, Math.max(tokenizerRatio.least, ratio)) + added * requests;
};

/**
 * What requests of a model will use and cost.
 *
 * @param requests how many there are, of which the sample is a part
 */
export const estimateModel = (
  requests: number,
  sample: ModelSample,
  known: KnownAnswers | undefined,
  prices: Prices | undefined,
): ModelEstimate => {
  const scale = requests / sample.requests;
  const inputTokens = Math.round(inputTokensOf(sample, known) * scale);
  const limitTo = (most: number): number =>
    Math.round(sample.outputLimits.reduce((sum, limit) => sum + Math.min(most, limit), 0) * scale);
  const isKnown = known !== undefined && known.answers > 0;
  const expected = isKnown ? limitTo(known.outputTokens / known.answers) : null;
  const limit = limitTo(Infinity);
  const most = Number.isFinite(limit) ? limit : null;

  const cachedShare = isKnown && known.inputTokens > 0 ? known.cachedTokens / known.inputTokens : 0;
  /** In USD, of all requests together. */
  const priceOf = (outputTokens: number): number | null => {
    const input = inputTokens / requests;
    const each = { inputTokens: input, cachedTokens: input * cachedShare, outputTokens: outputTokens / requests };
    const nanoUsd = prices && costOf({ ...each, reasoningTokens: 0 }, prices);
    return nanoUsd === undefined ? null : nanosToUsd(nanoUsd * requests);
  };

  /** Widens what is expected to what is likely, within what is possible. */
  const rangeOf = (least: number | null, likely: number | null, greatest: number | null): Range => {
    if (!isKnown || likely === null) return { low: least, expected: likely, high: greatest };
    const margin = marginOf(known.answers);
    const high = likely * (1 + margin);
    return {
      low: Math.max(least ?? 0, likely * (1 - margin)),
      expected: likely,
      high: Math.min(greatest ?? high, high),
    };
  };
  const tokens = rangeOf(0, expected, most);
  const round = (value: number | null): number | null => (value === null ? null : Math.round(value));
  return {
    inputTokens,
    outputTokens: { low: round(tokens.low), expected, high: round(tokens.high) },
    usd: rangeOf(priceOf(0), expected === null ? null : priceOf(expected), most === null ? null : priceOf(most)),
  };
};
