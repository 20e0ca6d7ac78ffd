/**
 * The endpoints a request may name: those of OpenAI's batches that take JSON and give one JSON answer. `/v1/videos` is not
 * among them: its answer is a job, whose video has to be asked for until it is there.
 * Source: https://developers.openai.com/api/docs/api-reference/batch/create
 */
export const endpoints = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/responses',
  '/v1/moderations',
  '/v1/images/generations',
  '/v1/images/edits',
] as const;

export type Endpoint = (typeof endpoints)[number];

export const isEndpoint = (value: unknown): value is Endpoint => endpoints.includes(value as Endpoint);
