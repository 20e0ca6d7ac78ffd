import { answerSchemaOf } from '@promptmill/core';
import type OpenAI from 'openai';
import type { LimitedText } from '../tokens.ts';
import {
  systemFingerprint,
  wantsStreamUsage,
  withCached,
  writeChoices,
  type CompletionChoices,
} from './completion-choices.ts';
import { readInteger, readMaxTokens, tierOfAnswer, type AnswerContext, type PrepareAnswer } from './endpoint.ts';
import { readMessages } from './prompt-text.ts';
import { doneEvent, serverSentEvent, splitIntoDeltas } from './stream-events.ts';

type Chunk = OpenAI.ChatCompletionChunk;
type ChunkChoice = OpenAI.ChatCompletionChunk.Choice;

/** Source: https://platform.openai.com/docs/api-reference/chat/create */
export const answerChatCompletion: PrepareAnswer = (body, model) => {
  const prompt = {
    ...readMessages(body['messages'], 'messages'),
    schema: answerSchemaOf('/v1/chat/completions', body),
  };
  const answer = writeChoices(model, [prompt], {
    n: readInteger(body, 'n', 1, 128),
    maxTokens: readMaxTokens(body, 'max_completion_tokens') ?? readMaxTokens(body, 'max_tokens'),
  });
  const tier = tierOfAnswer(body);
  const stream = body['stream'] === true;
  const withUsage = wantsStreamUsage(body['stream_options']);
  return {
    prompt: prompt.whole,
    tokens: answer.usage.total_tokens,
    stream,
    render: (context) =>
      stream ? renderStream(model, answer, withUsage, tier, context) : render(model, answer, tier, context),
  };
};

function render(
  model: string,
  { choices, usage }: CompletionChoices,
  tier: ReturnType<typeof tierOfAnswer>,
  context: AnswerContext,
): string {
  const completion: OpenAI.ChatCompletion = {
    id: `chatcmpl-${context.id}`,
    object: 'chat.completion',
    created: context.createdAt,
    model,
    choices: choices.map((choice, index) => ({
      index,
      message: { role: 'assistant', content: choice.text, refusal: null },
      logprobs: null,
      finish_reason: finishReason(choice, context),
    })),
    usage: withCached(usage, context),
    ...tier,
    system_fingerprint: systemFingerprint,
  };
  return JSON.stringify(completion);
}

function renderStream(
  model: string,
  { choices, usage }: CompletionChoices,
  withUsage: boolean,
  tier: ReturnType<typeof tierOfAnswer>,
  context: AnswerContext,
): string {
  const chunk = (chunkChoices: ChunkChoice[], chunkUsage: OpenAI.CompletionUsage | null = null): string => {
    const data: Chunk = {
      id: `chatcmpl-${context.id}`,
      object: 'chat.completion.chunk',
      created: context.createdAt,
      model,
      ...tier,
      system_fingerprint: systemFingerprint,
      choices: chunkChoices,
      ...(withUsage && { usage: chunkUsage }),
    };
    return serverSentEvent(data);
  };
  let events = '';
  for (const [index, choice] of choices.entries()) {
    const delta = (change: ChunkChoice['delta'], reason: ChunkChoice['finish_reason'] = null) =>
      chunk([{ index, delta: change, logprobs: null, finish_reason: reason }]);
    events += delta({ role: 'assistant', content: '', refusal: null });
    for (const content of splitIntoDeltas(choice.text)) events += delta({ content });
    events += delta({}, finishReason(choice, context));
  }
  if (withUsage) events += chunk([], withCached(usage, context));
  return events + doneEvent;
}

function finishReason(choice: LimitedText, context: AnswerContext): 'stop' | 'length' | 'content_filter' {
  return context.contentFiltered ? 'content_filter' : choice.finishReason;
}
