import { setImmediate } from 'node:timers/promises';
import { ApiError, maxLineDepth } from '@promptmill/core';
import { raw, type Request, type RequestHandler } from 'express';
import type { LargeBodies } from './large-bodies.ts';
import { measureJson } from './measure-json.ts';

export interface BodyLimit {
  readonly maxBytes: number;
  /** What a caller with a larger body can do. */
  readonly instead: string;
}

/** The limit of a route that names none. Files of any size are streamed. */
const defaultLimit: BodyLimit = { maxBytes: 2 ** 20, instead: '' };
/** Parsing takes time and memory for each value, however short. */
const maxValues = 32_768;
/** A smaller body does not count as large. */
const minLargeBytes = 256 * 1024;
/** What a value takes in memory beside its text. */
const heapBytesOfValue = 40;
/** How long a body may take to arrive, in milliseconds. */
const arrivalTimeoutMs = 60_000;

const utf8 = new TextDecoder('utf-8', { fatal: true });

const invalidJson = (message: string): ApiError => new ApiError(400, message, { code: 'invalid_json' });

const tooLarge = (found: string, { instead }: BodyLimit): ApiError =>
  new ApiError(413, `The request body ${found}. ${instead}`.trimEnd(), { code: 'request_too_large' });

/** How many bytes a body may have once it is read. */
const bytesAhead = ({ headers }: Request, maxBytes: number): number => {
  const isCompressed = (headers['content-encoding'] ?? 'identity') !== 'identity';
  if (isCompressed || headers['transfer-encoding'] !== undefined) return maxBytes;
  return Number(headers['content-length'] ?? 0);
};

/** A form, as the SDKs send files, would be taken for no body at all. */
const assertNoForm = ({ headers }: Request): void => {
  if (headers['content-type']?.toLowerCase().startsWith('multipart/'))
    throw new ApiError(415, 'The request body must be JSON, and not a form.', { code: 'invalid_encoding' });
};

const assertUtf8 = ({ headers }: Request): void => {
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset))
    throw new ApiError(415, 'The charset of a JSON body must be UTF-8.', { code: 'invalid_encoding' });
};

const parseBody = (bytes: Buffer, limit: BodyLimit): { readonly value: unknown; readonly heapBytes: number } => {
  const { depth, commas } = measureJson(bytes);
  // JSON.stringify fails on what nests deep.
  if (depth > maxLineDepth)
    throw invalidJson(
      `The request body nests objects and arrays ${depth} deep; it may nest them ${maxLineDepth} deep.`,
    );
  if (commas >= maxValues) throw tooLarge(`has over ${commas} values; it may have ${maxValues}`, limit);
  try {
    return { value: JSON.parse(utf8.decode(bytes)), heapBytes: bytes.length + commas * heapBytesOfValue };
  } catch {
    throw invalidJson('The request body is not valid JSON.');
  }
};

const isTooLarge = (error: unknown): boolean =>
  error instanceof Error && 'type' in error && error.type === 'entity.too.large';

/**
 * Reads and parses a JSON body; it is undefined when the request has none. 413 when it is larger than the limit, before
 * it is read where its length is known; 415 when it is a form; 408 when it arrives too slowly; 400 when it is no JSON or
 * nests too deep. A large one waits for its turn.
 */
export const createReadJsonBody = (largeBodies: LargeBodies, limit: BodyLimit = defaultLimit): RequestHandler => {
  const { maxBytes } = limit;
  const receive = raw({ type: ['json', '+json'], limit: maxBytes });

  return async (request, response, next) => {
    assertNoForm(request);
    const length = Number(request.headers['content-length'] ?? 0);
    if (length > maxBytes) throw tooLarge(`has ${length} bytes; it may have ${maxBytes}`, limit);
    const bytes = bytesAhead(request, maxBytes);
    let release = (): void => {};
    if (bytes >= minLargeBytes) {
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      const leave = await largeBodies.enter(response.locals.tenant ?? '', bytes, gone.signal);
      release = leave;
      if (gone.signal.aborted) leave();
      else response.once('close', leave);
    }
    const { promise: received, resolve, reject } = Promise.withResolvers<void>();
    const slow = () => reject(new ApiError(408, `The request body took over ${arrivalTimeoutMs / 1000} s to arrive.`));
    const timer = setTimeout(slow, arrivalTimeoutMs);
    receive(request, response, (error?: unknown) => {
      if (error === undefined) resolve();
      else reject(isTooLarge(error) ? tooLarge(`is larger than ${maxBytes} bytes`, limit) : error);
    });
    try {
      await received;
    } finally {
      clearTimeout(timer);
    }
    const content: unknown = request.body;
    request.body = undefined;
    if (Buffer.isBuffer(content) && content.length > 0) {
      assertUtf8(request);
      const { value, heapBytes } = parseBody(content, limit);
      request.body = value;
      response.locals.body = { bytes: content.length, heapBytes, release };
      // Others have their turn before the body is checked.
      if (content.length >= minLargeBytes) await setImmediate();
    }
    next();
  };
};
