import { type Endpoint, isJsonObject, type JsonObject } from '@promptmill/core';
import { APIError } from 'openai';

/** A piece of an answer's text, from one event of a stream. */
export interface AnswerDelta {
  /** The number of the choice, or in `/v1/responses` of the output item. */
  readonly index: number;
  readonly text: string;
}

/** Assembles the events of one stream into the answer that the provider would have given without streaming. */
export interface StreamAssembler {
  /** Takes the next event and returns its text. Throws {@link APIError} when the event says that the call failed. */
  add(event: unknown): readonly AnswerDelta[];
  /** The answer; undefined until all of it has come. */
  answer(): unknown;
}

/** Fields whose text comes whole, and may come again. The text of all others comes in pieces. */
const wholeStrings = new Set(['id', 'type', 'role', 'name', 'format', 'finish_reason', 'stop_reason']);

/** The item to which a part of a list belongs: the one with the same `index`, else a new one. */
const itemFor = (items: unknown[], part: JsonObject): JsonObject => {
  const known = items.find((item) => isJsonObject(item) && item['index'] === part['index']);
  if (typeof part['index'] === 'number' && isJsonObject(known)) return known;
  const item: JsonObject = {};
  items.push(item);
  return item;
};

/** Merges a chunk into what came before it. Strings and lists grow; list items with the same `index` are merged. */
const mergeInto = (target: JsonObject, change: JsonObject): void => {
  for (const [key, value] of Object.entries(change)) {
    // A key from outside must not reach the prototype.
    if (key === '__proto__') continue;
    const before = Object.hasOwn(target, key) ? target[key] : undefined;
    if (value === null || value === '') target[key] = before ?? value;
    else if (typeof value === 'string')
      target[key] = typeof before === 'string' && !wholeStrings.has(key) ? before + value : value;
    else if (Array.isArray(value)) target[key] = mergeItems(Array.isArray(before) ? before : [], value);
    else if (isJsonObject(value)) {
      const inner = isJsonObject(before) ? before : {};
      mergeInto(inner, value);
      target[key] = inner;
    } else target[key] = value;
  }
};

const mergeItems = (items: unknown[], parts: readonly unknown[]): unknown[] => {
  for (const part of parts) {
    if (isJsonObject(part)) mergeInto(itemFor(items, part), part);
    else items.push(part);
  }
  return items;
};

const objectsIn = (list: unknown): JsonObject[] => (Array.isArray(list) ? list.filter(isJsonObject) : []);

/** Drops each `index`, which only says to which tool call a chunk belongs. */
const withoutIndexes = (toolCalls: unknown): unknown => objectsIn(toolCalls).map(({ index: _index, ...call }) => call);

interface ChunkKind {
  /** The `object` of the whole answer. */
  readonly object: string;
  /** A choice before its first chunk. */
  readonly begin: (index: number) => JsonObject;
  readonly add: (choice: JsonObject, chunk: JsonObject) => void;
  readonly textOf: (chunk: JsonObject) => unknown;
  readonly finish: (choice: JsonObject) => JsonObject;
}

/** Source: https://platform.openai.com/docs/api-reference/chat-streaming */
const chatKind: ChunkKind = {
  object: 'chat.completion',
  begin: (index) => ({ index, message: { role: 'assistant', content: null } }),
  // Some providers send the whole message so far beside each delta.
  add(choice, { delta, message: _message, ...rest }) {
    mergeInto(choice, rest);
    if (isJsonObject(delta)) mergeInto(choice['message'] as JsonObject, delta);
  },
  textOf: ({ delta }) => (isJsonObject(delta) ? delta['content'] : undefined),
  finish(choice) {
    const message = choice['message'] as JsonObject;
    if (!Array.isArray(message['tool_calls'])) return choice;
    return { ...choice, message: { ...message, tool_calls: withoutIndexes(message['tool_calls']) } };
  },
};

/** Source: https://platform.openai.com/docs/api-reference/completions/create */
const completionKind: ChunkKind = {
  object: 'text_completion',
  begin: (index) => ({ index, text: '' }),
  add: mergeInto,
  textOf: ({ text }) => text,
  finish: (choice) => choice,
};

const createChunkAssembler = ({ object, begin, add, textOf, finish }: ChunkKind): StreamAssembler => {
  let head: JsonObject = {};
  const choices = new Map<number, JsonObject>();
  return {
    add(event) {
      if (!isJsonObject(event)) return [];
      // `obfuscation` is padding.
      const { choices: chunks, obfuscation: _padding, ...rest } = event;
      const news = Object.entries(rest).filter(([key, value]) => value !== null || !Object.hasOwn(head, key));
      head = { ...head, ...Object.fromEntries(news) };
      return objectsIn(chunks).flatMap((chunk) => {
        const index = typeof chunk['index'] === 'number' ? chunk['index'] : 0;
        const choice = choices.get(index) ?? begin(index);
        choices.set(index, choice);
        add(choice, chunk);
        const text = textOf(chunk);
        return typeof text === 'string' && text !== '' ? [{ index, text }] : [];
      });
    },
    answer() {
      const sorted = [...choices].sort(([a], [b]) => a - b).map(([, choice]) => choice);
      const isWhole = sorted.length > 0 && sorted.every((choice) => typeof choice['finish_reason'] === 'string');
      return isWhole ? { ...head, object, choices: sorted.map(finish) } : undefined;
    },
  };
};

const failedWith = (response: unknown): APIError => {
  const error =
    isJsonObject(response) && isJsonObject(response['error']) ? response['error'] : { message: 'no reason given' };
  return new APIError(undefined, error, undefined, undefined);
};

/** Source: https://platform.openai.com/docs/api-reference/responses-streaming */
const createResponseAssembler = (): StreamAssembler => {
  let response: unknown;
  return {
    add(event) {
      if (!isJsonObject(event)) return [];
      const { type, delta, output_index: index } = event;
      if (type === 'response.failed') throw failedWith(event['response']);
      if (type === 'response.completed' || type === 'response.incomplete') response = event['response'];
      const isText = type === 'response.output_text.delta' && typeof delta === 'string' && typeof index === 'number';
      return isText ? [{ index, text: delta }] : [];
    },
    answer: () => response,
  };
};

const assemblers: Readonly<Partial<Record<Endpoint, () => StreamAssembler>>> = {
  '/v1/chat/completions': () => createChunkAssembler(chatKind),
  '/v1/completions': () => createChunkAssembler(completionKind),
  '/v1/responses': createResponseAssembler,
};

export const mayStream = (url: Endpoint): boolean => assemblers[url] !== undefined;

/** For an endpoint without streaming, the assembler never has an answer. */
export const createStreamAssembler = (url: Endpoint): StreamAssembler =>
  assemblers[url]?.() ?? { add: () => [], answer: () => undefined };
