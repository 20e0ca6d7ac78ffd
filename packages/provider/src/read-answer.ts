import { setImmediate } from 'node:timers/promises';
import { type Endpoint, field, isDeeperThan, isJsonObject, usageOf } from '@promptmill/core';
import { APIError } from 'openai';
import { hasAnswerShape } from './answer-shape.ts';
import type { CallFailure, CallResult, CallSuccess, EmbedResult, ModelList } from './call-result.ts';
import { classOf, codeOfAnswer, codeOfStreamError, type FailureCode, messageOfAnswer } from './classify-answer.ts';
import { type EmbeddingInputs, splitEmbeddings } from './embeddings.ts';
import type { RedactKey } from './redact-key.ts';
import { retryAfterMsOf } from './retry-after.ts';
import type { ReplyHeaders } from './send-call.ts';

const maxMessageLength = 500;
const maxExcerptLength = 200;

export interface AnswerReaderOptions {
  readonly providerName: string;
  readonly maxAnswerBytes: number;
  readonly redactKey: RedactKey;
  readonly now: () => number;
}

/** Other programs may not read JSON that is nested deeper, and JSON.stringify may not write it. */
const maxAnswerDepth = 1000;

/** Writing so many characters of answers at once would keep other calls waiting for too long. */
const charactersInRow = 1024 * 1024;

/** These say how the provider made its answer. Others speak of the account, whose limits many callers share. */
const usefulHeaders = ['openai-processing-ms', 'openai-version', 'openai-model'] as const;
const noHeaders = {};

/** What can be passed on as a header: bytes outside ASCII mean something else to each reader. */
const isPlain = (value: string): boolean => /^[\x20-\x7e]{1,256}$/.test(value);

export const usefulHeadersOf = (headers: ReplyHeaders): Readonly<Record<string, string>> => {
  const found = usefulHeaders.flatMap((name) => {
    const value = headers.get(name);
    return value === undefined || !isPlain(value) ? [] : [[name, value] as const];
  });
  return found.length === 0 ? noHeaders : Object.fromEntries(found);
};

/** A provider's reply to a call, with its whole body. */
interface WholeReply {
  readonly statusCode: number;
  readonly headers: ReplyHeaders;
  readonly text: string;
}

/** The text of a JSON value on one line. Most providers send one line; other text is written again. */
const onOneLine = (text: string, value: unknown): string =>
  text.includes('\n') || text.includes('\r') ? JSON.stringify(value) : text.trim();

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const modelNamesOf = (body: unknown): string[] | undefined => {
  const data = field(body, 'data');
  if (!Array.isArray(data)) return undefined;
  return data.map((model: unknown) => field(model, 'id')).filter((id) => typeof id === 'string');
};

/** What happened to a connection, in words that name no host and no address. */
const connectionProblem = (code: string | undefined): string => {
  if (code === 'ECONNREFUSED' || code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return 'could not be reached';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'could not be reached: its host name was not found';
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') return 'could not be reached in time';
  if (code?.startsWith('ERR_TLS') || code?.includes('CERT') || code?.startsWith('ERR_SSL'))
    return 'could not be reached: its certificate or its TLS was not accepted';
  return 'could not be reached, or the connection was lost';
};

/** Turns a provider's reply, or the lack of one, into a {@link CallResult}. */
export const createAnswerReader = (options: AnswerReaderOptions) => {
  const { providerName, maxAnswerBytes, redactKey, now } = options;

  const requestIdIn = (headers: ReplyHeaders): string => {
    const requestId = redactKey(headers.get('x-request-id') ?? headers.get('request-id') ?? '');
    return isPlain(requestId) ? requestId : '';
  };

  const failure = (code: FailureCode, text: string): CallFailure => ({
    kind: 'failure',
    class: classOf(code),
    code,
    message: `${providerName} ${redactKey(text)}`.slice(0, maxMessageLength),
  });

  /** The same failure, with what its answer says that the call used. */
  const withUsage = (failed: CallFailure, body: unknown): CallFailure => {
    const usage = usageOf(body);
    return usage.inputTokens + usage.outputTokens === 0 ? failed : { ...failed, usage };
  };

  const success = (
    { statusCode, headers }: Pick<WholeReply, 'statusCode' | 'headers'>,
    body: unknown,
    text?: string,
  ): CallSuccess | CallFailure => {
    // A text of n characters nests n / 2 deep at most: a short one need not be walked through.
    if ((text === undefined || text.length > 2 * maxAnswerDepth) && isDeeperThan(body, maxAnswerDepth))
      return withUsage(
        failure('answer_not_storable', `answered with JSON that is nested more than ${maxAnswerDepth} deep`),
        body,
      );
    const serviceTier = field(body, 'service_tier');
    return {
      kind: 'success',
      statusCode,
      requestId: requestIdIn(headers),
      json: text === undefined ? JSON.stringify(body) : onOneLine(text, body),
      usage: usageOf(body),
      ...(typeof serviceTier === 'string' ? { serviceTier } : {}),
      headers: usefulHeadersOf(headers),
    };
  };

  const noAnswer = (statusCode: number, what: string, text: string): CallFailure => {
    // The key is redacted before the cut: half a key would not be found.
    const excerpt = redactKey(text).slice(0, maxExcerptLength) || '(nothing)';
    return failure('invalid_answer', `answered ${statusCode} with ${what}: ${excerpt}`);
  };

  /** Reads a connection that gave no answer, or only a part of one. */
  const readConnectionError = ({ code, message }: Pick<NodeJS.ErrnoException, 'code' | 'message'>): CallFailure => {
    if (code === 'request_timeout') return failure(code, message);
    if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE')
      return failure('answer_too_large', `answered with more than ${maxAnswerBytes} bytes`);
    return { ...failure('connection_error', connectionProblem(code)), detail: redactKey(message || String(code)) };
  };

  const readError = ({ statusCode, headers, text }: WholeReply): CallFailure => {
    const parsed = parseJson(text);
    const body = redactKey(parsed === undefined || isDeeperThan(parsed, maxAnswerDepth) ? text : parsed);
    const retryAfterMs = retryAfterMsOf(headers, now());
    const message = messageOfAnswer(body) ?? '(no message)';
    return {
      ...withUsage(failure(codeOfAnswer(statusCode, body), `answered ${statusCode}: ${message}`), parsed),
      response: { statusCode, requestId: requestIdIn(headers), body },
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    };
  };

  const isSuccess = ({ statusCode }: WholeReply): boolean => statusCode >= 200 && statusCode < 300;

  return {
    requestIdIn,

    /** Reads an answer whose status is not 2xx. */
    readError,

    /** What a 2xx is that lacks what it should have. */
    noAnswer,

    readAnswer(url: Endpoint, reply: WholeReply): CallResult {
      if (!isSuccess(reply)) return readError(reply);
      const body = parseJson(reply.text);
      if (hasAnswerShape(url, body)) return success(reply, body, reply.text);
      const what = body === undefined ? 'no JSON' : `no answer of ${url}`;
      return withUsage(noAnswer(reply.statusCode, what, reply.text), body);
    },

    /** Reads the answer to several requests for embeddings in one call. */
    async readEmbeddings(inputs: readonly EmbeddingInputs[], reply: WholeReply): Promise<EmbedResult> {
      if (!isSuccess(reply)) return readError(reply);
      const body = parseJson(reply.text);
      const split = isJsonObject(body) ? splitEmbeddings(body, inputs) : undefined;
      const what = body === undefined ? 'no JSON' : 'not one embedding for each input';
      if (!split) return withUsage(noAnswer(reply.statusCode, what, reply.text), body);
      const answers: CallSuccess[] = [];
      let inRow = 0;
      for (const own of split) {
        const answer = success(reply, own);
        if (answer.kind !== 'success') return answer;
        answers.push(answer);
        inRow += answer.json.length;
        if (inRow > charactersInRow) inRow = await setImmediate(0);
      }
      return { kind: 'success', answers, characters: reply.text.length };
    },

    /** Reads the answer of `GET /models`. Source: https://platform.openai.com/docs/api-reference/models/list */
    readModels(reply: WholeReply): ModelList | CallFailure {
      if (!isSuccess(reply)) return readError(reply);
      const names = modelNamesOf(parseJson(reply.text));
      return names ? { kind: 'models', names } : noAnswer(reply.statusCode, 'no list of models', reply.text);
    },

    /** Reads a stream that has ended. `body` is the assembled answer; undefined when a part of it is missing. */
    readStreamEnd(url: Endpoint, reply: Pick<WholeReply, 'statusCode' | 'headers'>, body: unknown): CallResult {
      if (body === undefined) return failure('incomplete_stream', 'ended its stream before the answer was complete');
      if (hasAnswerShape(url, body)) return success(reply, body);
      return withUsage(noAnswer(reply.statusCode, `a stream that is no answer of ${url}`, JSON.stringify(body)), body);
    },

    readConnectionError,

    /** What a call would come to that was not made, since the variable with the key is not set. */
    readMissingKey: (variable = 'its key') =>
      failure('authentication_failed', `was not called: ${variable} is not set where the worker runs`),

    /** Reads what cut a stream short: an event with an error, an event that cannot be read, or the connection. */
    readStreamFailure(error: unknown): CallFailure {
      if (error instanceof APIError) {
        const body = redactKey(error.error);
        const message = messageOfAnswer(body) ?? '(no message)';
        return failure(codeOfStreamError(body), `reported an error in its stream: ${message}`);
      }
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== undefined) return readConnectionError({ code, message });
      return failure('incomplete_stream', `sent a stream that cannot be read: ${message}`);
    },
  };
};
