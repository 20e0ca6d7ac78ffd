import { ApiError, type LiveAnswer, type LiveError } from '@promptmill/core';

/** The HTTP status of each way in which a call can end without an answer of the provider. Default: 502. */
const statuses: Readonly<Record<string, number>> = {
  request_timeout: 504,
  worker_lost: 500,
  internal_error: 500,
};

export const errorOf = ({ code, message }: LiveError): ApiError =>
  new ApiError(statuses[code] ?? 502, message, { code });

/** The body of a provider's error as OpenAI has it: some providers answer with other JSON, or with none. */
export const errorBody = (statusCode: number, body: string): string => {
  const parsed: unknown = JSON.parse(body);
  if (typeof parsed === 'object' && parsed !== null && 'error' in parsed) return body;
  const message = typeof parsed === 'string' ? parsed : body;
  return JSON.stringify(new ApiError(statusCode, message.slice(0, 1000)).toBody());
};

/** The `error` object with which a stream ends that has begun. */
export const streamError = (answer: LiveAnswer): string =>
  answer.kind === 'response'
    ? errorBody(answer.head.statusCode, answer.body)
    : JSON.stringify(errorOf(answer).toBody());
