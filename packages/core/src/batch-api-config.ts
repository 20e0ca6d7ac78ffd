import { z } from 'zod';
import { completionWindowSeconds } from './completion-window.ts';
import type { BatchApi } from './hand-off.ts';

const batchWires = ['openai'] as const;

/** The provider's own batch API. What is left out is as at OpenAI. */
export const batchApiConfig = z.union([
  z.enum(batchWires),
  z.strictObject({
    wire: z.enum(batchWires),
    /** The `completion_window` that its batches get. */
    window: z
      .string()
      .refine((window) => completionWindowSeconds(window) !== undefined, { error: 'it must be from 1m to 30d' })
      .optional(),
    /** Most lines of one of its batches. */
    maxLines: z.int().positive().optional(),
    /** Most bytes of one of its input files. */
    maxBytes: z.int().positive().optional(),
    /** What it asks for a token, as a share of the price of a live call. */
    priceShare: z.number().positive().max(1).optional(),
  }),
]);

/** Source: https://platform.openai.com/docs/guides/batch */
const openaiBatchApi = {
  wire: 'openai',
  window: '24h',
  maxLines: 50_000,
  maxBytes: 200_000_000,
  priceShare: 0.5,
} as const satisfies BatchApi;

export const buildBatchApi = (config: z.infer<typeof batchApiConfig>): BatchApi => {
  if (typeof config === 'string') return openaiBatchApi;
  const { window, maxLines, maxBytes, priceShare } = { ...openaiBatchApi, ...config };
  return {
    wire: config.wire,
    window: window ?? openaiBatchApi.window,
    maxLines: maxLines ?? openaiBatchApi.maxLines,
    maxBytes: maxBytes ?? openaiBatchApi.maxBytes,
    priceShare: priceShare ?? openaiBatchApi.priceShare,
  };
};
