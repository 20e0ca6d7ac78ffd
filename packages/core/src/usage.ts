import type { BatchUsage } from './batch.ts';
import { field } from './json.ts';

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
 * The tokens that an answer says it used, in either of OpenAI's spellings (chat: `prompt_tokens`; responses:
 * `input_tokens`). An answer without `usage` counts as none.
 */
export const usageOf = (body: unknown): BatchUsage => {
  const usage = field(body, 'usage');
  if (usage === undefined) return noUsage;
  const either = (chat: string, responses: string): unknown => field(usage, chat) ?? field(usage, responses);
  const inputTokens = count(either('prompt_tokens', 'input_tokens'));
  const outputTokens = count(either('completion_tokens', 'output_tokens'));
  const reasoningTokens = count(
    field(either('completion_tokens_details', 'output_tokens_details'), 'reasoning_tokens'),
  );
  // xAI's chat counts reasoning beside the completion. It is paid as output, and OpenAI counts it there.
  const isBeside =
    reasoningTokens > 0 && count(field(usage, 'total_tokens')) === inputTokens + outputTokens + reasoningTokens;
  return {
    inputTokens,
    cachedTokens: count(field(either('prompt_tokens_details', 'input_tokens_details'), 'cached_tokens')),
    outputTokens: isBeside ? outputTokens + reasoningTokens : outputTokens,
    reasoningTokens,
  };
};
