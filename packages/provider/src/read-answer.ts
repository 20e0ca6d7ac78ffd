import { type Endpoint, usageOf } from '@promptmill/core';
import { APIError } from 'openai';
import { hasAnswerShape } from './answer-shape.ts';
import type { CallFailure, CallResult, ModelList } from './call-result.ts';
import { classOf, codeOfAnswer, codeOfStreamError, type FailureCode, messageOfAnswer } from './classify-answer.ts';
import type { RedactKey } from './redact-key.ts';
import { retryAfterMsOf } from './retry-after.ts';

const maxMessageLength = 500;
const maxExcerptLength = 200;

export interface AnswerReaderOptions {
  readonly providerName: string;
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

const modelNamesOf = (body: unknown): string[] | undefined => {
  const data = (body as { data?: unknown } | null | undefined)?.data;
  if (!Array.isArray(data)) return undefined;
  return data.map((model: unknown) => (model as { id?: unknown } | null)?.id).filter((id) => typeof id === 'string');
};

/** Turns what came back from a provider, or did not, into a {@link CallResult}. */
export const createAnswerReader = (options: AnswerReaderOptions) => {
  const { providerName, maxAnswerBytes, redactKey, now } = options;

  const failure = (code: FailureCode, text: string): CallFailure => ({
    kind: 'failure',
    class: classOf(code),
    code,
    message: `${providerName} ${redactKey(text)}`.slice(0, maxMessageLength),
  });

  const success = (statusCode: number, headers: Headers, body: unknown): CallResult => ({
    kind: 'success',
    statusCode,
    requestId: requestIdOf(headers),
    body,
    usage: usageOf(body),
  });

  const noAnswer = (statusCode: number, what: string, text: string): CallFailure => {
    // Redacted before it is cut: half a key would not be found.
    const excerpt = redactKey(text).slice(0, maxExcerptLength) || '(nothing)';
    return failure('invalid_answer', `answered ${statusCode} with ${what}: ${excerpt}`);
  };

  /** No answer, or not all of it. */
  const readConnectionError = ({ code, message }: Pick<NodeJS.ErrnoException, 'code' | 'message'>): CallFailure => {
    if (code === 'request_timeout') return failure(code, message);
    if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE')
      return failure('answer_too_large', `answered with more than ${maxAnswerBytes} bytes`);
    return failure('connection_error', `could not be reached, or the connection was lost: ${message || code}`);
  };

  return {
    /** A 2xx. */
    readAnswer(url: Endpoint, statusCode: number, headers: Headers, text: string): CallResult {
      const body = parseJson(text);
      if (hasAnswerShape(url, body)) return success(statusCode, headers, body);
      return noAnswer(statusCode, body === undefined ? 'no JSON' : `no answer of ${url}`, text);
    },

    /** A 2xx of `GET /models`. Source: https://platform.openai.com/docs/api-reference/models/list */
    readModels(statusCode: number, text: string): ModelList | CallFailure {
      const names = modelNamesOf(parseJson(text));
      return names ? { kind: 'models', names } : noAnswer(statusCode, 'no list of models', text);
    },

    /** A 2xx whose stream has ended; `body` is what its events came to, undefined when they break off. */
    readStreamEnd(url: Endpoint, statusCode: number, headers: Headers, body: unknown): CallResult {
      if (body === undefined) return failure('incomplete_stream', 'ended its stream before the answer was complete');
      if (hasAnswerShape(url, body)) return success(statusCode, headers, body);
      return noAnswer(statusCode, `a stream that is no answer of ${url}`, JSON.stringify(body));
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

    readConnectionError,

    /** What cut a stream short: an event that tells of an error, one that cannot be read, or the connection. */
    readStreamFailure(error: unknown): CallFailure {
      if (error instanceof APIError) {
        const body = redactKey(error.error);
        const message = messageOfAnswer(body) ?? '(no message)';
        return failure(codeOfStreamError(body), `told of an error in its stream: ${message}`);
      }
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== undefined) return readConnectionError({ code, message });
      return failure('incomplete_stream', `sent a stream that cannot be read: ${message}`);
    },
  };
};
