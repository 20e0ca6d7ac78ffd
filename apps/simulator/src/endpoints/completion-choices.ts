import { field } from '@promptmill/core';
import type OpenAI from 'openai';
import { countTokens, limitTokens, type LimitedText } from '../tokens.ts';
import type { AnswerContext } from './endpoint.ts';
import { writeAnswer } from './models.ts';
import type { PromptText } from './prompt-text.ts';

export interface CompletionChoices {
  readonly choices: readonly LimitedText[];
  readonly usage: OpenAI.CompletionUsage;
}

/** Writes `n` answers to each prompt, in the order in which OpenAI numbers them, and counts their tokens. */
export function writeChoices(
  model: string,
  prompts: readonly PromptText[],
  { n, maxTokens }: { n: number | undefined; maxTokens: number | undefined },
): CompletionChoices {
  const choices: LimitedText[] = [];
  let promptTokens = 0;
  let completionTokens = 0;
  for (const prompt of prompts) {
    promptTokens += countTokens(prompt.whole);
    for (let choice = 0; choice < (n ?? 1); choice++) {
      const limited = limitTokens(writeAnswer(model, prompt, choice), maxTokens);
      completionTokens += limited.tokens;
      choices.push(limited);
    }
  }
  return { choices, usage: describeUsage(promptTokens, completionTokens) };
}

function describeUsage(promptTokens: number, completionTokens: number): OpenAI.CompletionUsage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

/** The same usage, with what was cached of the prompt. */
export function withCached(usage: OpenAI.CompletionUsage, { cachedTokens }: AnswerContext): OpenAI.CompletionUsage {
  return { ...usage, prompt_tokens_details: { ...usage.prompt_tokens_details, cached_tokens: cachedTokens } };
}

/** Whether a stream is to end with a chunk that carries the usage. */
export function wantsStreamUsage(streamOptions: unknown): boolean {
  return field(streamOptions, 'include_usage') === true;
}

/** Marks the answers' origin, as OpenAI's backend configurations do. */
export const systemFingerprint = 'fp_simulator';
