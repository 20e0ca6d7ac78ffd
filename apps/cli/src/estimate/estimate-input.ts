import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { type LaneTable, readCheckedLine, type ServiceTier } from '@promptmill/core';
import { sampleInput } from '@promptmill/files';
import {
  addSamples,
  createEstimateRequests,
  measureRequests,
  type ModelEstimate,
  openTokenCounter,
  type Samples,
  sumEstimates,
} from '@promptmill/provider';

/** What requests will use and cost, as far as it is known. */
export interface InputEstimate extends ModelEstimate {
  /** The models whose price is not known. */
  readonly unpriced: readonly string[];
  /** Whether there are images, which are not counted. */
  readonly hasImages?: boolean;
  /** Whether requests ask for images, whose output tokens nothing limits. */
  readonly makesImages?: boolean;
}

export interface EstimateInputOptions {
  /** The converted input. */
  readonly path: string;
  readonly requests: number;
  readonly lanes: LaneTable;
  readonly tier: ServiceTier | undefined;
  /** No line of the input is longer. */
  readonly maxLineBytes: number;
  readonly signal: AbortSignal;
}

/** What the inputs of a folder will use and cost together. */
export const sumInputEstimates = (estimates: readonly InputEstimate[]): InputEstimate => ({
  ...sumEstimates(estimates),
  unpriced: [...new Set(estimates.flatMap(({ unpriced }) => unpriced))],
  hasImages: estimates.some(({ hasImages }) => hasImages === true),
  makesImages: estimates.some(({ makesImages }) => makesImages === true),
});

/**
 * Estimates what the requests of a converted input will use and cost, in flat memory. It calls nothing, so nothing is known
 * of the answers but what `max_tokens` allows.
 */
export const estimateInput = async ({
  path,
  requests,
  lanes,
  tier,
  maxLineBytes,
  signal,
}: EstimateInputOptions): Promise<InputEstimate> => {
  const countTokens = await openTokenCounter();
  const { size: bytes } = await stat(path);
  let samples: Samples = new Map();
  let hasImages = false;
  let makesImages = false;
  const parse = (text: string) => {
    hasImages ||= text.includes('"image_url"');
    const line = readCheckedLine(text);
    makesImages ||= line?.url.startsWith('/v1/images/') === true;
    return line;
  };
  const read = ({ start, end }: { start: number; end: number }) => createReadStream(path, { start, end: end - 1 });
  for await (const lines of sampleInput({ read, bytes, maxLineBytes, parse })) {
    signal.throwIfAborted();
    samples = addSamples(samples, measureRequests(lines, countTokens));
  }
  const { models, ...estimate } = await createEstimateRequests({ lanes, now: Date.now })({ requests, samples, tier });
  const unpriced = models.filter(({ usd }) => usd.low === null).map(({ model }) => model);
  return { ...estimate, unpriced, hasImages, makesImages };
};
