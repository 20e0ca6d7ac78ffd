import { ApiError, field, isJsonObject, type LiveAnswer, type LiveAnswerHead, type LiveError } from '@promptmill/core';

/** The HTTP status of each way in which a call can end without an answer of the provider. Default: 502. */
const statuses: Readonly<Record<string, number>> = {
  request_timeout: 504,
  worker_lost: 500,
  internal_error: 500,
  price_unknown: 400,
};

export const errorOf = ({ code, message }: LiveError): ApiError =>
  code === 'cost_limit'
    ? new ApiError(429, message, { code: 'insufficient_quota', type: 'insufficient_quota' })
    : new ApiError(statuses[code] ?? 502, message, { code });

/** Whether a status can be passed on as that of an answer. A redirect, or one with which no body may come, cannot. */
const maySend = (statusCode: number): boolean =>
  (statusCode >= 200 && statusCode < 300) || (statusCode >= 400 && statusCode < 600);

/** The error in place of an answer whose status cannot be passed on; undefined for every other. */
export const statusError = ({ statusCode }: LiveAnswerHead): ApiError | undefined =>
  maySend(statusCode)
    ? undefined
    : new ApiError(502, `The provider answered with the status ${statusCode}.`, { code: 'unexpected_status' });

/** The body of a provider's error as OpenAI has it: some providers answer with other JSON, or with none. */
export const errorBody = (statusCode: number, body: string): string => {
  const parsed: unknown = JSON.parse(body);
  const error = field(parsed, 'error');
  if (isJsonObject(error)) return body;
  const text = [error, parsed].find((each) => typeof each === 'string') ?? body;
  return JSON.stringify(new ApiError(statusCode, text.slice(0, 1000) || '(no message)').toBody());
};

/** The `error` object with which a stream ends that has begun. */
export const streamError = (answer: LiveAnswer): string =>
  answer.kind === 'response'
    ? errorBody(answer.head.statusCode, answer.body)
    : JSON.stringify(errorOf(answer).toBody());
