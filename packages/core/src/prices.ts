import { z } from 'zod';
import type { CallUsage } from './usage.ts';

/** USD per million tokens; with tiers, by the input tokens of the whole request. */
export type TokenPrice = number | TieredPrice;

export interface TieredPrice {
  readonly base: number;
  /** Ascending. A request with more input tokens than `start` pays `price` for all of its tokens. */
  readonly tiers: readonly { readonly start: number; readonly price: number }[];
}

/** What a model costs, in USD per million tokens. What is absent is unknown, unless its line says otherwise. */
export interface Prices {
  readonly input?: TokenPrice | undefined;
  /** Input tokens that the provider had cached. Default: as `input`. */
  readonly cachedInput?: TokenPrice | undefined;
  /** Input tokens of images. Default: as `input`. */
  readonly imageInput?: TokenPrice | undefined;
  readonly output?: TokenPrice | undefined;
  /** Output tokens that are reasoning. Default: as `output`. */
  readonly reasoning?: TokenPrice | undefined;
  /** Output tokens of images. Default: as `output`. */
  readonly imageOutput?: TokenPrice | undefined;
  /** USD for each call, besides its tokens. Default 0. */
  readonly call?: number | undefined;
}

const price = z.number().nonnegative();

/** `prices` of a model in `promptmill.yaml`, in USD per million tokens. */
export const pricesConfig = z.strictObject({
  input: price,
  cachedInput: price.optional(),
  output: price.optional(),
});

const scaleToken = (tokenPrice: TokenPrice | undefined, share: number): TokenPrice | undefined => {
  if (typeof tokenPrice !== 'object') return tokenPrice === undefined ? undefined : tokenPrice * share;
  const tiers = tokenPrice.tiers.map(({ start, price: each }) => ({ start, price: each * share }));
  return { base: tokenPrice.base * share, tiers };
};

/** A share of each price: 0.5 is half of them. */
export const scalePrices = ({ call, ...prices }: Prices, share: number): Prices => {
  const scaled = Object.entries(prices).map(([name, tokenPrice]) => [name, scaleToken(tokenPrice, share)]);
  return { ...Object.fromEntries(scaled), ...(call === undefined ? {} : { call: call * share }) };
};

/** The largest limit of a cost, in USD. */
export const maxUsd = 1_000_000;

/** Costs are whole billionths of a dollar, so that sums are exact: up to 9 million dollars in a number. */
const nanosPerUsd = 1e9;
const nanosPerTokenAtOneUsd = nanosPerUsd / 1e6;

export const nanosToUsd = (nanoUsd: number): number => nanoUsd / nanosPerUsd;
export const usdToNanos = (usd: number): number => Math.round(usd * nanosPerUsd);

const forPeople = new Intl.NumberFormat('en-US', {
  maximumSignificantDigits: 4,
  maximumFractionDigits: 2,
  roundingPriority: 'morePrecision',
  useGrouping: false,
});

/** An amount for people, in USD: `4.998`, `1234.57`, `0.0000125`. */
export const formatUsd = (nanoUsd: number): string => forPeople.format(nanosToUsd(nanoUsd));

const priceAt = (tokenPrice: TokenPrice | undefined, inputTokens: number): number | undefined => {
  if (typeof tokenPrice !== 'object') return tokenPrice;
  return tokenPrice.tiers.findLast(({ start }) => inputTokens > start)?.price ?? tokenPrice.base;
};

/**
 * What an answer cost, in billionths of a dollar, rounded once. Undefined when a price that it takes is unknown, and when
 * the answer does not say what it used.
 */
export const costOf = (usage: CallUsage, prices: Prices): number | undefined => {
  const { inputTokens, outputTokens } = usage;
  if (inputTokens + outputTokens === 0) return undefined;
  const cachedTokens = Math.min(usage.cachedTokens, inputTokens);
  const inputImages = Math.min(usage.inputImageTokens ?? 0, inputTokens - cachedTokens);
  const reasoningTokens = Math.min(usage.reasoningTokens, outputTokens);
  const outputImages = Math.min(usage.outputImageTokens ?? 0, outputTokens - reasoningTokens);
  const parts = [
    [inputTokens - cachedTokens - inputImages, prices.input],
    [cachedTokens, prices.cachedInput ?? prices.input],
    [inputImages, prices.imageInput ?? prices.input],
    [outputTokens - reasoningTokens - outputImages, prices.output],
    [reasoningTokens, prices.reasoning ?? prices.output],
    [outputImages, prices.imageOutput ?? prices.output],
  ] as const;
  let nanoUsd = (prices.call ?? 0) * nanosPerUsd;
  for (const [tokens, tokenPrice] of parts) {
    if (tokens === 0) continue;
    const usd = priceAt(tokenPrice, inputTokens);
    if (usd === undefined) return undefined;
    nanoUsd += tokens * usd * nanosPerTokenAtOneUsd;
  }
  return Math.round(nanoUsd);
};
