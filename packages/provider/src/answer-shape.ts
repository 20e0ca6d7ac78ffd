import { type Endpoint, isJsonObject, type JsonObject } from '@promptmill/core';

const isNonEmptyArrayOf = (value: unknown, isItem: (item: JsonObject) => boolean): boolean =>
  Array.isArray(value) && value.length > 0 && value.every((item: unknown) => isJsonObject(item) && isItem(item));

const hasImages = (body: JsonObject): boolean =>
  isNonEmptyArrayOf(body['data'], ({ b64_json: data, url }) => typeof data === 'string' || typeof url === 'string');

/** What the answer of each endpoint must have. Source: https://platform.openai.com/docs/api-reference */
const shapes: Readonly<Record<Endpoint, (body: JsonObject) => boolean>> = {
  '/v1/chat/completions': (body) => isNonEmptyArrayOf(body['choices'], (choice) => isJsonObject(choice['message'])),
  '/v1/completions': (body) => isNonEmptyArrayOf(body['choices'], (choice) => typeof choice['text'] === 'string'),
  '/v1/embeddings': (body) => Array.isArray(body['data']),
  '/v1/responses': (body) => body['object'] === 'response' && Array.isArray(body['output']),
  '/v1/moderations': (body) => Array.isArray(body['results']),
  '/v1/images/generations': hasImages,
  '/v1/images/edits': hasImages,
};

/** Whether the body of a 2xx is an answer of that endpoint, and not a proxy's page or an error. */
export const hasAnswerShape = (url: Endpoint, body: unknown): boolean => isJsonObject(body) && shapes[url](body);
