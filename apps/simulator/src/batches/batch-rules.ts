import { z } from 'zod';

/** How the batch API behaves. What is left out is as OpenAI has it, or takes no time. */
export interface BatchRules {
  /** How long a batch stays `validating`, in milliseconds. */
  readonly validatingMs: number;
  /** How long it takes to answer all lines, in milliseconds. They are answered evenly over that time, out of order. */
  readonly processingMs: number;
  /** How long a batch stays `finalizing`, in milliseconds. Its files can be seen only then. */
  readonly finalizingMs: number;
  /** How long a batch stays `cancelling`, in milliseconds. */
  readonly cancellingMs: number;
  /** The time from a batch's creation until it expires, in milliseconds. A change holds for batches that run too. */
  readonly windowMs: number;
  /** The share of its lines, 0 to 1, that a batch gets answered. Below 1 it always expires. */
  readonly answeredShare: number;
  /** Most lines of a batch. */
  readonly maxLines: number;
  /** Most bytes of a batch's file. */
  readonly maxBytes: number;
  /** Most input tokens of a model's batches that have not ended. */
  readonly maxEnqueuedTokens: number;
  /** The share of uploads and creations, 0 to 1, whose answer never comes although all is done. */
  readonly lostAnswers: number;
  /** What a line costs, as a share of a call's price. The call log says it. */
  readonly priceShare: number;
}

/** Source of the limits: https://developers.openai.com/api/docs/guides/batch */
export const defaultBatchRules: BatchRules = {
  validatingMs: 0,
  processingMs: 0,
  finalizingMs: 0,
  cancellingMs: 0,
  windowMs: 86_400_000,
  answeredShare: 1,
  maxLines: 50_000,
  maxBytes: 200_000_000,
  maxEnqueuedTokens: 2_000_000_000,
  lostAnswers: 0,
  priceShare: 0.5,
};

const durationMs = z.number().min(0).max(86_400_000).exactOptional();
const share = z.number().min(0).max(1).exactOptional();
const limit = z.int().positive().exactOptional();

export const batchRulesChange = z.strictObject({
  validatingMs: durationMs,
  processingMs: durationMs,
  finalizingMs: durationMs,
  cancellingMs: durationMs,
  windowMs: durationMs,
  answeredShare: share,
  maxLines: limit,
  maxBytes: limit,
  maxEnqueuedTokens: limit,
  lostAnswers: share,
  priceShare: share,
});
