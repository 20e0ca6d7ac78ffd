import { ApiError } from '@promptmill/core';
import { FileStoreError } from '@promptmill/files';
import type { Logger } from '@promptmill/runtime';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import { noStore } from './forbid-storing.ts';
import { isRedisAway, serviceUnavailable } from './redis-guard.ts';

const bodyErrors: Readonly<Record<string, (error: Error) => ApiError>> = {
  'encoding.unsupported': () =>
    new ApiError(415, 'The content encoding is not supported.', { code: 'invalid_encoding' }),
};

const ofFileStore = (cause: FileStoreError): ApiError => {
  switch (cause.code) {
    case 'not_found':
      return new ApiError(404, 'The file has no content any more.', { code: 'file_content_gone', cause });
    case 'no_space':
      return new ApiError(507, 'The file store is full.', { code: 'insufficient_storage', cause });
    case 'read_only':
      return new ApiError(503, 'The file store cannot be written. Try again.', { code: 'service_unavailable', cause });
    default:
      return new ApiError(503, 'The file store is unavailable. Try again.', { code: 'service_unavailable', cause });
  }
};

/** What a caller is told of an error. */
export const toApiError = (error: unknown): ApiError => {
  if (error instanceof ApiError) return error;
  if (isRedisAway(error)) return serviceUnavailable(error);
  if (error instanceof FileStoreError) return ofFileStore(error);
  if (error instanceof Error) {
    const { type, status } = error as Error & { type?: string; status?: number };
    const known = type === undefined ? undefined : bodyErrors[type];
    if (known) return known(error);
    // Express and its parsers mark what the caller did wrong with a status.
    if (status !== undefined && status >= 400 && status < 500)
      return new ApiError(status, 'The request is malformed.', { code: 'invalid_request', cause: error });
  }
  return new ApiError(500, 'The server had an error while processing your request.', {
    code: 'internal_error',
    cause: error,
  });
};

/** A caller who leaves in the middle of a download is no failure. */
const isCallerGone = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';

export const answerNotFound: RequestHandler = (request) => {
  throw new ApiError(404, `Unknown request URL: ${request.method} ${request.path}.`, { code: 'unknown_url' });
};

/**
 * Answers any error in OpenAI's shape. Only the server's own errors are logged, and answers have none of their details.
 */
export const createAnswerError =
  (logger: Logger): ErrorRequestHandler =>
  (error, _request, response, _next) => {
    const apiError = toApiError(error);
    const { requestId, route } = response.locals;
    response.locals.errorCode = apiError.code;
    if (apiError.status >= 500 && !isCallerGone(error))
      logger.error({ requestId, route, status: apiError.status, err: apiError.cause ?? error }, 'request failed');
    if (response.headersSent) {
      response.destroy();
      return;
    }
    response.set(noStore);
    if (apiError.retryAfterSeconds !== undefined) response.set('retry-after', String(apiError.retryAfterSeconds));
    // The official clients would try a conflict again, which is useless here.
    if (apiError.status === 409) response.set('x-should-retry', 'false');
    response.status(apiError.status).json(apiError.toBody());
  };
