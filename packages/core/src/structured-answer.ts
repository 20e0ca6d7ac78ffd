import type { Endpoint } from './endpoints.ts';
import { field, isJsonObject, type JsonObject } from './json.ts';
import type { RequestBody } from './request-line.ts';

/** A JSON Schema: an object, or true or false for anything or nothing. */
export type AnswerSchema = JsonObject | boolean;

/**
 * The schema that a request wants its answer to match; undefined when it names none. Sources: `response_format` of
 * https://platform.openai.com/docs/api-reference/chat/create, and `text.format` of
 * https://platform.openai.com/docs/api-reference/responses/create
 */
export const answerSchemaOf = (url: Endpoint, body: JsonObject): unknown => {
  if (url === '/v1/chat/completions') {
    const format = body['response_format'];
    return field(format, 'type') === 'json_schema' ? field(field(format, 'json_schema'), 'schema') : undefined;
  }
  if (url !== '/v1/responses') return undefined;
  const format = field(body['text'], 'format');
  return field(format, 'type') === 'json_schema' ? field(format, 'schema') : undefined;
};

/** The fields of a body that ask for answers of a schema. Only the endpoints that take messages have such fields. */
export const schemaFields = (url: Endpoint, name: string, schema: AnswerSchema): JsonObject => {
  const format = { name, strict: true, schema };
  return url === '/v1/responses'
    ? { text: { format: { type: 'json_schema', ...format } } }
    : { response_format: { type: 'json_schema', json_schema: format } };
};

/** One text that a model wrote, and why it may be less than an answer. */
export interface AnswerText {
  readonly text: string;
  /** The words with which the model refuses to answer. */
  readonly refusal?: string;
  /** Why the text ends early, as the provider says it: `length`, `content_filter`, `max_output_tokens`. */
  readonly cutOffBy?: string;
}

const each = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

const answerText = (text: string, refusal: string, cutOffBy: unknown): AnswerText => ({
  text,
  ...(refusal === '' ? {} : { refusal }),
  ...(typeof cutOffBy === 'string' ? { cutOffBy } : {}),
});

const isCutOff = new Set<unknown>(['length', 'content_filter']);

const choiceText = (choice: unknown): AnswerText | undefined => {
  const message = field(choice, 'message');
  const text = textOf(field(message, 'content'));
  // The model wants a tool called first; its answer comes later.
  if (text === '' && each(field(message, 'tool_calls')).length > 0) return undefined;
  const reason = field(choice, 'finish_reason');
  return answerText(text, textOf(field(message, 'refusal')), isCutOff.has(reason) ? reason : undefined);
};

const responseText = (answer: unknown): AnswerText | undefined => {
  const output = each(field(answer, 'output'));
  const parts = output.flatMap((item) => each(field(item, 'content')));
  const join = (name: string): string => parts.map((part) => textOf(field(part, name))).join('');
  const text = join('text');
  if (text === '' && output.some((item) => String(field(item, 'type')).endsWith('_call'))) return undefined;
  return answerText(text, join('refusal'), field(field(answer, 'incomplete_details'), 'reason'));
};

/** The texts of an answer that have to match its request's schema: one for each choice. A call of a tool is none. */
export const answerTextsOf = (url: Endpoint, answer: unknown): readonly AnswerText[] =>
  (url === '/v1/responses' ? [responseText(answer)] : each(field(answer, 'choices')).map(choiceText)).filter(
    (text) => text !== undefined,
  );

/** A body that asks again: the same conversation, then the answer that does not match and what is wrong with it. */
export const bodyThatAsksAgain = (
  url: Endpoint,
  body: RequestBody,
  { text, faults }: { readonly text: string; readonly faults: readonly string[] },
): RequestBody => {
  const correction = [
    'Your answer does not match the JSON schema that was asked for:',
    ...faults.map((fault) => `- ${fault}`),
    'Answer again: only JSON that matches the schema, and nothing else.',
  ].join('\n');
  const more = [...(text === '' ? [] : [{ role: 'assistant', content: text }]), { role: 'user', content: correction }];
  if (url !== '/v1/responses') return { ...body, messages: [...each(body['messages']), ...more] };
  const { input } = body;
  const before = typeof input === 'string' ? [{ role: 'user', content: input }] : each(input);
  return { ...body, input: [...before, ...more] };
};

/** Whether a value can be a JSON Schema at all. */
export const isAnswerSchema = (value: unknown): value is AnswerSchema =>
  isJsonObject(value) || typeof value === 'boolean';
