import { type Endpoint, isJsonObject } from '@promptmill/core';
import type { CallFailure, CallSuccess } from '../call-result.ts';
import type { createAnswerReader } from '../read-answer.ts';

/** A line of the output or error file of a provider's batch. */
export interface BatchLine {
  readonly customId: string;
  /** What the provider answered. Undefined when it gave no answer: its batch was cancelled, has expired, or had an error. */
  readonly response: { readonly statusCode: number; readonly requestId: string; readonly body: unknown } | undefined;
}

/**
 * Reads a line of the output or error file of a provider's batch; undefined when the text is none. It may be a line of another
 * shape than OpenAI's as long as it has `custom_id` and `response`.
 * Source: https://platform.openai.com/docs/api-reference/batch/request-output
 */
export const readBatchLine = (text: string): BatchLine | undefined => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isJsonObject(value) || typeof value['custom_id'] !== 'string') return undefined;
  const { custom_id: customId, response } = value;
  if (!isJsonObject(response) || typeof response['status_code'] !== 'number' || response['body'] === undefined)
    return { customId, response: undefined };
  const { status_code: statusCode, request_id: requestId, body } = response;
  return { customId, response: { statusCode, requestId: typeof requestId === 'string' ? requestId : '', body } };
};

/** What an answer in a line comes to, as if it had come from a call. */
export const readLineAnswer = (
  reader: Pick<ReturnType<typeof createAnswerReader>, 'readAnswer'>,
  url: Endpoint,
  { statusCode, requestId, body }: NonNullable<BatchLine['response']>,
): CallSuccess | CallFailure => {
  const headers = { get: (name: string) => (name === 'x-request-id' ? requestId : undefined) };
  const result = reader.readAnswer(url, { statusCode, headers, text: JSON.stringify(body) });
  if (result.kind === 'aborted' || result.kind === 'unsent') throw new Error('a line is an answer');
  return result;
};
