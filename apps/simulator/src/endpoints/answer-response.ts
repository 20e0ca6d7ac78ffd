import { answerSchemaOf, type JsonObject } from '@promptmill/core';
import type OpenAI from 'openai';
import { countTokens, limitTokens, type LimitedText } from '../tokens.ts';
import { readMaxTokens, tierOfAnswer, type AnswerContext, type PrepareAnswer } from './endpoint.ts';
import { writeAnswer } from './models.ts';
import { readMessages, type PromptText } from './prompt-text.ts';
import { serverSentEvent, splitIntoDeltas } from './stream-events.ts';

type Response = OpenAI.Responses.Response;
type OutputMessage = OpenAI.Responses.ResponseOutputMessage;
type StreamEvent = OpenAI.Responses.ResponseStreamEvent;
/** An event without its number. */
type EventBody = StreamEvent extends infer Event
  ? Event extends unknown
    ? Omit<Event, 'sequence_number'>
    : never
  : never;

interface Draft {
  readonly model: string;
  readonly answer: LimitedText;
  readonly promptTokens: number;
  readonly instructions: string | null;
  readonly maxOutputTokens: number | undefined;
  readonly tier: ReturnType<typeof tierOfAnswer>;
}

/** Source: https://platform.openai.com/docs/api-reference/responses/create */
export const answerResponse: PrepareAnswer = (body, model) => {
  const prompt = { ...readPrompt(body), schema: answerSchemaOf('/v1/responses', body) };
  const maxOutputTokens = readMaxTokens(body, 'max_output_tokens');
  const draft: Draft = {
    model,
    answer: limitTokens(writeAnswer(model, prompt, 0), maxOutputTokens),
    promptTokens: countTokens(prompt.whole),
    instructions: readInstructions(body),
    maxOutputTokens,
    tier: tierOfAnswer(body),
  };
  const stream = body['stream'] === true;
  return {
    prompt: prompt.whole,
    tokens: draft.promptTokens + draft.answer.tokens,
    stream,
    render: (context) => (stream ? renderStream(draft, context) : JSON.stringify(finished(draft, context))),
  };
};

function readPrompt(body: JsonObject): PromptText {
  const { input } = body;
  const prompt = typeof input === 'string' ? { whole: input, lastUser: input } : readMessages(input, 'input');
  const instructions = readInstructions(body);
  return instructions === null ? prompt : { ...prompt, whole: `${instructions}\n${prompt.whole}` };
}

function readInstructions({ instructions }: JsonObject): string | null {
  return typeof instructions === 'string' ? instructions : null;
}

function started(draft: Draft, { id, createdAt }: AnswerContext): Omit<Response, 'output_text'> {
  return {
    id: `resp_${id}`,
    object: 'response',
    created_at: createdAt,
    status: 'in_progress',
    access_programs: null,
    error: null,
    incomplete_details: null,
    instructions: draft.instructions,
    max_output_tokens: draft.maxOutputTokens ?? null,
    metadata: {},
    model: draft.model,
    output: [],
    parallel_tool_calls: true,
    previous_response_id: null,
    temperature: 1,
    ...draft.tier,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    truncation: 'disabled',
  };
}

function finished(draft: Draft, context: AnswerContext): Omit<Response, 'output_text'> {
  const { answer, promptTokens } = draft;
  const reason = stopReason(draft, context);
  return {
    ...started(draft, context),
    status: reason ? 'incomplete' : 'completed',
    incomplete_details: reason ? { reason } : null,
    output: [outputMessage(draft, context)],
    usage: {
      input_tokens: promptTokens,
      input_tokens_details: { cached_tokens: context.cachedTokens, cache_write_tokens: 0 },
      output_tokens: answer.tokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: promptTokens + answer.tokens,
    },
  };
}

function outputMessage(draft: Draft, context: AnswerContext): OutputMessage {
  return {
    id: `msg_${context.id}`,
    type: 'message',
    role: 'assistant',
    status: stopReason(draft, context) ? 'incomplete' : 'completed',
    content: [outputText(draft.answer.text)],
  };
}

function outputText(text: string): OpenAI.Responses.ResponseOutputText {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

function stopReason({ answer }: Draft, { contentFiltered }: AnswerContext) {
  if (contentFiltered) return 'content_filter';
  return answer.finishReason === 'length' ? 'max_output_tokens' : undefined;
}

/** Source: https://platform.openai.com/docs/api-reference/responses-streaming */
function renderStream(draft: Draft, context: AnswerContext): string {
  const { text } = draft.answer;
  const message = outputMessage(draft, context);
  const place = { item_id: message.id, output_index: 0, content_index: 0 };
  let events = '';
  let sequenceNumber = 0;
  const emit = (event: EventBody) => {
    events += serverSentEvent({ ...event, sequence_number: sequenceNumber++ }, event.type);
  };

  const start = started(draft, context) as Response;
  emit({ type: 'response.created', response: start });
  emit({ type: 'response.in_progress', response: start });
  emit({
    type: 'response.output_item.added',
    output_index: 0,
    item: { ...message, status: 'in_progress', content: [] },
  });
  emit({ type: 'response.content_part.added', ...place, part: outputText('') });
  for (const delta of splitIntoDeltas(text)) {
    emit({ type: 'response.output_text.delta', ...place, delta, logprobs: [] });
  }
  emit({ type: 'response.output_text.done', ...place, text, logprobs: [] });
  emit({ type: 'response.content_part.done', ...place, part: outputText(text) });
  emit({ type: 'response.output_item.done', output_index: 0, item: message });
  const end = finished(draft, context) as Response;
  emit({ type: end.status === 'completed' ? 'response.completed' : 'response.incomplete', response: end });
  return events;
}
