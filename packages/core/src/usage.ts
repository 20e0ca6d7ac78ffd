import type { BatchUsage } from './batch.ts';
import { field } from './json.ts';

/** What one answer used. */
export interface CallUsage extends BatchUsage {
  /** Of the input tokens, those of images. Absent where an answer does not say. */
  readonly inputImageTokens?: number;
  /** Of the output tokens, those of images. Absent where an answer does not say. */
  readonly outputImageTokens?: number;
}

export const noUsage: BatchUsage = { inputTokens: 0, cachedTokens: 0, outputTokens: 0, reasoningTokens: 0 };

/** The sum of two usages. */
export const addUsage = (a: BatchUsage, b: BatchUsage): BatchUsage => ({
  inputTokens: a.inputTokens + b.inputTokens,
  cachedTokens: a.cachedTokens + b.cachedTokens,
  outputTokens: a.outputTokens + b.outputTokens,
  reasoningTokens: a.reasoningTokens + b.reasoningTokens,
});

const count = (value: unknown): number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;

/**
 * The tokens that an answer says it used, in either of OpenAI's spellings (chat: `prompt_tokens`; responses and images:
 * `input_tokens`). An answer without `usage` counts as none.
 */
export const usageOf = (body: unknown): CallUsage => {
  const usage = field(body, 'usage');
  if (usage === undefined) return noUsage;
  const either = (chat: string, responses: string): unknown => field(usage, chat) ?? field(usage, responses);
  const inputDetails = either('prompt_tokens_details', 'input_tokens_details');
  const outputDetails = either('completion_tokens_details', 'output_tokens_details');
  const inputTokens = count(either('prompt_tokens', 'input_tokens'));
  const outputTokens = count(either('completion_tokens', 'output_tokens'));
  const saidReasoning = count(field(outputDetails, 'reasoning_tokens'));
  // xAI's chat counts reasoning beside the completion, and Gemini's in the total alone. It is paid as output, and OpenAI
  // counts it there.
  const beside = count(field(usage, 'total_tokens')) - inputTokens - outputTokens;
  const isBeside = beside > 0 && (saidReasoning === 0 || saidReasoning === beside);
  const inputImageTokens = count(field(inputDetails, 'image_tokens'));
  const outputImageTokens = count(field(outputDetails, 'image_tokens'));
  return {
    inputTokens,
    cachedTokens: count(field(inputDetails, 'cached_tokens')),
    outputTokens: isBeside ? outputTokens + beside : outputTokens,
    reasoningTokens: isBeside ? beside : saidReasoning,
    ...(inputImageTokens > 0 ? { inputImageTokens } : {}),
    ...(outputImageTokens > 0 ? { outputImageTokens } : {}),
  };
};
