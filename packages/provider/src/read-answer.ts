import { type Endpoint, usageOf } from '@promptmill/core';
import { hasAnswerShape } from './answer-shape.ts';
import type { CallFailure, CallResult } from './call-result.ts';
import { classOf, codeOfAnswer, type FailureCode, messageOfAnswer } from './classify-answer.ts';
import type { RedactKey } from './redact-key.ts';
import { retryAfterMsOf } from './retry-after.ts';

const maxMessageLength = 500;
const maxExcerptLength = 200;

export interface AnswerReaderOptions {
  readonly providerName: string;
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
  readonly redactKey: RedactKey;
  readonly now: () => number;
}

const requestIdOf = (headers: Headers): string => headers.get('x-request-id') ?? headers.get('request-id') ?? '';

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** Turns what came back from a provider, or did not, into a {@link CallResult}. */
export const createAnswerReader = (options: AnswerReaderOptions) => {
  const { providerName, timeoutMs, maxAnswerBytes, redactKey, now } = options;

  const failure = (code: FailureCode, text: string): CallFailure => ({
    kind: 'failure',
    class: classOf(code),
    code,
    message: `${providerName} ${redactKey(text)}`.slice(0, maxMessageLength),
  });

  return {
    /** A 2xx. */
    readAnswer(url: Endpoint, statusCode: number, headers: Headers, text: string): CallResult {
      const body = parseJson(text);
      if (hasAnswerShape(url, body))
        return { kind: 'success', statusCode, requestId: requestIdOf(headers), body, usage: usageOf(body) };
      const what = body === undefined ? 'no JSON' : `no answer of ${url}`;
      // Redacted before it is cut: half a key would not be found.
      const excerpt = redactKey(text).slice(0, maxExcerptLength) || '(nothing)';
      return failure('invalid_answer', `answered ${statusCode} with ${what}: ${excerpt}`);
    },

    /** Any other status. */
    readError(statusCode: number, headers: Headers, errorBody: unknown): CallFailure {
      const body = redactKey(errorBody);
      const retryAfterMs = retryAfterMsOf(headers, now());
      const message = messageOfAnswer(body) ?? '(no message)';
      return {
        ...failure(codeOfAnswer(statusCode, body), `answered ${statusCode}: ${message}`),
        response: { statusCode, requestId: requestIdOf(headers), body },
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      };
    },

    /** No answer, or not all of it. */
    readConnectionError({ name, code, message }: NodeJS.ErrnoException): CallFailure {
      // What aborted it was not the caller's signal, so it was the timeout.
      if (name === 'AbortError') return failure('request_timeout', `gave no complete answer within ${timeoutMs} ms`);
      if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE')
        return failure('answer_too_large', `answered with more than ${maxAnswerBytes} bytes`);
      return failure('connection_error', `could not be reached, or the connection was lost: ${message || code}`);
    },
  };
};
