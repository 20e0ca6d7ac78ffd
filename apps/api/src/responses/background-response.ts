import { ApiError, field, isJsonObject, type JsonObject, type LiveAnswer } from '@promptmill/core';
import { badRequest } from '../request-problem.ts';
import type { ResponseObject } from './response-schemas.ts';

/**
 * Whether a call of `/v1/responses` asks for a background response. Throws ApiError 400 for what cannot go with it.
 * Source: https://platform.openai.com/docs/guides/background
 */
export const wantsBackground = ({ background, stream, store }: JsonObject): boolean => {
  if (background !== undefined && background !== null && typeof background !== 'boolean')
    throw badRequest({ message: "'background' must be true or false.", code: 'invalid_type', param: 'background' });
  if (background !== true) return false;
  if (stream === true)
    throw badRequest({
      message: 'A background response cannot be streamed here. Retrieve it when it is completed.',
      code: 'unsupported_parameter',
      param: 'stream',
    });
  if (store === false)
    throw badRequest({
      message: "A background response is stored until it is retrieved, so 'store' must not be false.",
      code: 'unsupported_parameter',
      param: 'store',
    });
  return true;
};

/** A background response before it has an answer, but for its id and status. */
export const queuedResponse = (body: JsonObject): JsonObject => ({
  object: 'response',
  background: true,
  access_programs: null,
  error: null,
  incomplete_details: null,
  instructions: body['instructions'] ?? null,
  max_output_tokens: body['max_output_tokens'] ?? null,
  metadata: body['metadata'] ?? {},
  model: body['model'],
  output: [],
  parallel_tool_calls: body['parallel_tool_calls'] ?? true,
  previous_response_id: body['previous_response_id'] ?? null,
  temperature: body['temperature'] ?? null,
  text: body['text'] ?? { format: { type: 'text' } },
  tool_choice: body['tool_choice'] ?? 'auto',
  tools: body['tools'] ?? [],
  top_p: body['top_p'] ?? null,
  truncation: body['truncation'] ?? 'disabled',
  usage: null,
});

const codeOf = (statusCode: number): string => {
  if (statusCode === 429) return 'rate_limit_exceeded';
  return statusCode >= 400 && statusCode < 500 ? 'invalid_prompt' : 'server_error';
};

/** Why a response failed, as OpenAI has it. */
const errorOf = (answer: LiveAnswer): JsonObject => {
  if (answer.kind === 'error') return { code: 'server_error', message: `${answer.code}: ${answer.message}` };
  const { head, body } = answer;
  const message = field(field(JSON.parse(body), 'error'), 'message');
  return { code: codeOf(head.statusCode), message: typeof message === 'string' ? message : body.slice(0, 1000) };
};

/** A response that has ended. A completed one is the provider's own but for its id. */
export const endedResponse = (id: string, queued: JsonObject, answer: LiveAnswer): ResponseObject => {
  if (answer.kind === 'error' || answer.head.statusCode >= 400)
    return { ...queued, id, object: 'response', status: 'failed', error: errorOf(answer) };
  const response: unknown = JSON.parse(answer.body);
  if (!isJsonObject(response)) throw new ApiError(502, 'The provider’s answer is no response.');
  return { status: 'completed', ...response, object: 'response', id, background: true };
};
