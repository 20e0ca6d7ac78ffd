import type OpenAI from 'openai';
import {
  systemFingerprint,
  wantsStreamUsage,
  withCached,
  writeChoices,
  type CompletionChoices,
} from './completion-choices.ts';
import { readInteger, readMaxTokens, type AnswerContext, type PrepareAnswer } from './endpoint.ts';
import { readTexts } from './prompt-text.ts';
import { doneEvent, serverSentEvent, splitIntoDeltas } from './stream-events.ts';

/** Source: https://platform.openai.com/docs/api-reference/completions/create */
export const answerCompletion: PrepareAnswer = (body, model) => {
  const prompts = readTexts(body['prompt'], 'prompt');
  const answer = writeChoices(
    model,
    prompts.map((text) => ({ whole: text, lastUser: text })),
    { n: readInteger(body, 'n', 1, 128), maxTokens: readMaxTokens(body, 'max_tokens') },
  );
  const stream = body['stream'] === true;
  const withUsage = wantsStreamUsage(body['stream_options']);
  return {
    prompt: prompts.join('\n'),
    tokens: answer.usage.total_tokens,
    stream,
    render: (context) => (stream ? renderStream(model, answer, withUsage, context) : render(model, answer, context)),
  };
};

function render(model: string, { choices, usage }: CompletionChoices, context: AnswerContext): string {
  const completion: OpenAI.Completion = {
    ...frame(model, context),
    choices: choices.map(({ text, finishReason }, index) => ({
      index,
      text,
      logprobs: null,
      finish_reason: context.contentFiltered ? 'content_filter' : finishReason,
    })),
    usage: withCached(usage, context),
  };
  return JSON.stringify(completion);
}

/** A streamed choice has no finish reason until its last chunk; the SDK's type knows only the last one. */
type ChunkChoice = Omit<OpenAI.CompletionChoice, 'finish_reason'> & {
  finish_reason: OpenAI.CompletionChoice['finish_reason'] | null;
};

function renderStream(
  model: string,
  { choices, usage }: CompletionChoices,
  withUsage: boolean,
  context: AnswerContext,
): string {
  const chunk = (chunkChoices: ChunkChoice[], chunkUsage: OpenAI.CompletionUsage | null = null): string =>
    serverSentEvent({ ...frame(model, context), choices: chunkChoices, ...(withUsage && { usage: chunkUsage }) });
  let events = '';
  for (const [index, { text, finishReason }] of choices.entries()) {
    for (const delta of splitIntoDeltas(text)) {
      events += chunk([{ index, text: delta, logprobs: null, finish_reason: null }]);
    }
    const reason = context.contentFiltered ? 'content_filter' : finishReason;
    events += chunk([{ index, text: '', logprobs: null, finish_reason: reason }]);
  }
  if (withUsage) events += chunk([], withCached(usage, context));
  return events + doneEvent;
}

function frame(model: string, { id, createdAt }: AnswerContext) {
  return {
    id: `cmpl-${id}`,
    object: 'text_completion' as const,
    created: createdAt,
    model,
    system_fingerprint: systemFingerprint,
  };
}
