/** The endpoints a request may name. Source: https://platform.openai.com/docs/api-reference/batch/create */
export const endpoints = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/responses',
  '/v1/moderations',
] as const;

export type Endpoint = (typeof endpoints)[number];

export const isEndpoint = (value: unknown): value is Endpoint => endpoints.includes(value as Endpoint);
