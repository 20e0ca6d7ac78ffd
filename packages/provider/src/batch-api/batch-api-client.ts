import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { type Endpoint, field, isJsonObject, lacksKey, type Provider } from '@promptmill/core';
import { type Dispatcher, Pool } from 'undici';
import type { CallFailure, CallSuccess } from '../call-result.ts';
import { defaultConnectTimeoutMs, keyOf } from '../provider-client.ts';
import { createAnswerReader } from '../read-answer.ts';
import { createKeyRedactor } from '../redact-key.ts';
import { buildHead, createSdk } from '../request-heads.ts';
import { type BatchLine, readLineAnswer } from './batch-line.ts';

/** A call to a provider's batch API that failed. */
export class BatchApiError extends Error {
  override readonly name = 'BatchApiError';
  readonly failure: CallFailure;

  constructor(failure: CallFailure) {
    super(`${failure.code}: ${failure.message}`);
    this.failure = failure;
  }
}

/** A batch at a provider. Source: https://platform.openai.com/docs/api-reference/batch/object */
export interface ProviderBatch {
  readonly id: string;
  /** Such as `in_progress`. */
  readonly status: string;
  /** Whether it changes no more. */
  readonly hasEnded: boolean;
  readonly inputFileId?: string;
  readonly outputFileId?: string;
  readonly errorFileId?: string;
  readonly counts: { readonly total: number; readonly completed: number; readonly failed: number };
  /** Why it failed. */
  readonly errors: readonly { readonly code: string; readonly message: string }[];
  readonly createdAt: number;
  readonly metadata: Readonly<Record<string, unknown>>;
}

interface UploadRequest {
  readonly filename: string;
  /** The length of the lines, in bytes. */
  readonly bytes: number;
  readonly lines: AsyncIterable<Buffer>;
  /** Sent as the header `Idempotency-Key`, which some providers know. */
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
}

interface CreateRequest {
  readonly fileId: string;
  readonly endpoint: Endpoint;
  /** Its `completion_window`. */
  readonly window: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
}

/** What to look for among files or batches, the newest first. */
interface Search {
  /** Older ones are not looked at. Unix seconds. */
  readonly since: number;
  readonly signal: AbortSignal;
}

/** Each call throws {@link BatchApiError} when it fails, and the signal's reason when that has fired. */
export interface BatchApiClient {
  /** Stores an input file. Resolves with its id. */
  upload(request: UploadRequest): Promise<string>;
  /** The newest input file of a name and length; undefined when there is none. */
  findFile(file: { readonly filename: string; readonly bytes: number }, search: Search): Promise<string | undefined>;
  create(request: CreateRequest): Promise<ProviderBatch>;
  /** The newest batch with a pair in its metadata; undefined when there is none. */
  findBatch(key: string, value: string, search: Search): Promise<ProviderBatch | undefined>;
  /** Whether a batch has not ended. */
  hasUnended(search: Search): Promise<boolean>;
  /** Undefined when the provider has no such batch. */
  get(id: string, signal: AbortSignal): Promise<ProviderBatch | undefined>;
  /** Asks for a batch to be cancelled. One that has ended, or is gone, stays as it is. */
  cancel(id: string, signal: AbortSignal): Promise<void>;
  /** The content of a file, piece by piece; undefined when it is gone. */
  download(fileId: string, signal: AbortSignal): Promise<AsyncIterable<Buffer> | undefined>;
  /** Deletes a file. One that is gone stays so. */
  deleteFile(fileId: string, signal: AbortSignal): Promise<void>;
  /** What an answer in a line of an output or error file comes to. */
  readAnswer(url: Endpoint, response: NonNullable<BatchLine['response']>): CallSuccess | CallFailure;
  close(): Promise<void>;
}

const endedStatuses = new Set(['completed', 'failed', 'expired', 'cancelled']);
const maxReplyBytes = 16 * 1024 * 1024;
const maxAnswerBytes = 64 * 1024 * 1024;
/** How long a provider may take to take a file, and to begin its reply. */
const uploadTimeoutMs = 15 * 60_000;
/** How long it may fall silent while it sends a file. */
const silenceMs = 60_000;
const pageSize = 100;
/** So many pages are looked at in one search. */
const mostPages = 50;
/** The provider's clock may be behind ours. */
const clockSlackSeconds = 600;

const textOr = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
const numberOf = (value: unknown): number => (typeof value === 'number' ? value : 0);

const errorsOf = (value: unknown): ProviderBatch['errors'] => {
  const data = field(value, 'data');
  if (!Array.isArray(data)) return [];
  return data.map((error: unknown) => ({
    code: textOr(field(error, 'code')) ?? 'unknown',
    message: textOr(field(error, 'message')) ?? '',
  }));
};

const toBatch = (value: unknown): ProviderBatch | undefined => {
  if (!isJsonObject(value)) return undefined;
  const {
    id,
    status,
    input_file_id: input,
    output_file_id: output,
    error_file_id: error,
    request_counts: counts,
    metadata,
  } = value;
  if (typeof id !== 'string' || typeof status !== 'string') return undefined;
  const [inputFileId, outputFileId, errorFileId] = [textOr(input), textOr(output), textOr(error)];
  return {
    id,
    status,
    hasEnded: endedStatuses.has(status),
    ...(inputFileId === undefined ? {} : { inputFileId }),
    ...(outputFileId === undefined ? {} : { outputFileId }),
    ...(errorFileId === undefined ? {} : { errorFileId }),
    counts: {
      total: numberOf(field(counts, 'total')),
      completed: numberOf(field(counts, 'completed')),
      failed: numberOf(field(counts, 'failed')),
    },
    errors: errorsOf(value['errors']),
    createdAt: numberOf(value['created_at']),
    metadata: isJsonObject(metadata) ? metadata : {},
  };
};

/** Headers, names and values alternating, without those that others replace. */
const without = (headers: readonly string[], others: readonly string[]): string[] => {
  const replaced = new Set(others.filter((_, i) => i % 2 === 0));
  return headers.filter((_, i) => !replaced.has((headers[i - (i % 2)] ?? '').toLowerCase()));
};

interface Sent {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: readonly string[];
  /** Default: none. */
  readonly body?: string | Readable;
  readonly headersTimeoutMs?: number;
  readonly signal: AbortSignal;
}

/**
 * A client of a provider's Files and Batch API, as OpenAI has it. It holds no file in memory.
 * Sources: https://platform.openai.com/docs/api-reference/batch and https://platform.openai.com/docs/api-reference/files
 */
export const createBatchApiClient = (provider: Provider, now: () => number = Date.now): BatchApiClient => {
  const apiKey = keyOf(provider);
  const sdk = createSdk(provider, apiKey);
  const pool = new Pool(new URL(provider.baseUrl).origin, {
    allowH2: false,
    connectTimeout: provider.connectTimeoutMs ?? defaultConnectTimeoutMs,
  });
  const redactKey = createKeyRedactor(apiKey);
  const reader = createAnswerReader({ providerName: provider.name, maxAnswerBytes, redactKey, now });

  const readText = async (body: Dispatcher.ResponseData['body']): Promise<string> => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxReplyBytes) throw Object.assign(new Error(), { code: 'UND_ERR_RES_EXCEEDED_MAX_SIZE' });
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString();
  };

  /** Resolves with an answer whose status is 2xx, or with undefined when it is 404 and that is `expected`. */
  const send = async (
    { method, path, headers = [], body, headersTimeoutMs = provider.timeoutMs, signal }: Sent,
    expected?: 404,
  ): Promise<Dispatcher.ResponseData['body'] | undefined> => {
    if (lacksKey(provider)) throw new BatchApiError(reader.readMissingKey(provider.apiKeyEnv));
    const head = await buildHead(sdk, 'GET', path);
    try {
      const reply = await pool.request({
        method,
        path: head.path,
        headers: [...without(head.headers, headers), ...headers],
        body: body ?? null,
        headersTimeout: headersTimeoutMs,
        bodyTimeout: silenceMs,
        signal,
      });
      if (reply.statusCode >= 200 && reply.statusCode < 300) return reply.body;
      const text = await readText(reply.body);
      if (reply.statusCode === expected) return undefined;
      const replyHeaders = {
        get: (name: string) => {
          const value = reply.headers[name];
          return typeof value === 'object' ? value.join(', ') : value;
        },
      };
      throw new BatchApiError(reader.readError({ statusCode: reply.statusCode, headers: replyHeaders, text }));
    } catch (error) {
      if (error instanceof BatchApiError) throw error;
      signal.throwIfAborted();
      throw new BatchApiError(reader.readConnectionError(error as NodeJS.ErrnoException));
    }
  };

  const sendForJson = async (sent: Sent, expected?: 404): Promise<unknown> => {
    const body = await send(sent, expected);
    if (!body) return undefined;
    try {
      const text = await readText(body);
      return JSON.parse(text) as unknown;
    } catch (error) {
      sent.signal.throwIfAborted();
      if (error instanceof SyntaxError) throw new BatchApiError(reader.noAnswer(200, 'no JSON', ''));
      throw new BatchApiError(reader.readConnectionError(error as NodeJS.ErrnoException));
    }
  };

  const expectBatch = (value: unknown): ProviderBatch => {
    const batch = toBatch(value);
    if (!batch) throw new BatchApiError(reader.noAnswer(200, 'no batch', JSON.stringify(value) ?? ''));
    return batch;
  };

  /** The items of a list, the newest first, as far back as a time. */
  async function* list(path: string, { since, signal }: Search): AsyncGenerator {
    let after = '';
    for (let page = 0; page < mostPages; page++) {
      const next = after === '' ? '' : `&after=${encodeURIComponent(after)}`;
      const found = await sendForJson({ method: 'GET', path: `${path}limit=${pageSize}${next}`, signal });
      const data = field(found, 'data');
      if (!Array.isArray(data)) return;
      for (const item of data as unknown[]) {
        const createdAt = field(item, 'created_at');
        if (typeof createdAt === 'number' && createdAt < since - clockSlackSeconds) return;
        yield item;
      }
      const last = textOr(field(data.at(-1), 'id'));
      if (last === undefined || field(found, 'has_more') !== true) return;
      after = last;
    }
  }

  const json = ['content-type', 'application/json'] as const;

  return {
    async upload({ filename, bytes, lines, idempotencyKey, signal }) {
      const boundary = `promptmill-${randomBytes(12).toString('hex')}`;
      const start = Buffer.from(
        `--${boundary}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n` +
          `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="${filename}"\r\n` +
          `content-type: application/jsonl\r\n\r\n`,
      );
      const end = Buffer.from(`\r\n--${boundary}--\r\n`);
      async function* form(): AsyncGenerator<Buffer> {
        yield start;
        yield* lines;
        yield end;
      }
      const file = await sendForJson({
        method: 'POST',
        path: '/files',
        headers: [
          'content-type',
          `multipart/form-data; boundary=${boundary}`,
          'content-length',
          String(start.length + bytes + end.length),
          'idempotency-key',
          idempotencyKey,
        ],
        body: Readable.from(form()),
        headersTimeoutMs: uploadTimeoutMs,
        signal,
      });
      const id = textOr(field(file, 'id'));
      if (id === undefined) throw new BatchApiError(reader.noAnswer(200, 'no file', JSON.stringify(file) ?? ''));
      return id;
    },

    async findFile({ filename, bytes }, search) {
      for await (const file of list('/files?purpose=batch&order=desc&', search))
        if (field(file, 'filename') === filename && field(file, 'bytes') === bytes) return textOr(field(file, 'id'));
      return undefined;
    },

    async create({ fileId, endpoint, window, metadata, idempotencyKey, signal }) {
      const body = { input_file_id: fileId, endpoint, completion_window: window, metadata };
      const headers = [...json, 'idempotency-key', idempotencyKey];
      return expectBatch(
        await sendForJson({ method: 'POST', path: '/batches', headers, body: JSON.stringify(body), signal }),
      );
    },

    async findBatch(key, value, search) {
      for await (const item of list('/batches?', search)) {
        const batch = toBatch(item);
        if (batch?.metadata[key] === value) return batch;
      }
      return undefined;
    },

    async hasUnended(search) {
      for await (const item of list('/batches?', search)) if (toBatch(item)?.hasEnded === false) return true;
      return false;
    },

    async get(id, signal) {
      const found = await sendForJson({ method: 'GET', path: `/batches/${encodeURIComponent(id)}`, signal }, 404);
      return found === undefined ? undefined : expectBatch(found);
    },

    async cancel(id, signal) {
      const path = `/batches/${encodeURIComponent(id)}/cancel`;
      try {
        const body = await send({ method: 'POST', path, signal }, 404);
        await body?.dump();
      } catch (error) {
        // It has ended meanwhile. The next look says how.
        if (error instanceof BatchApiError && error.failure.class === 'final') return;
        if (error instanceof BatchApiError && error.failure.code === 'conflict') return;
        throw error;
      }
    },

    async download(fileId, signal) {
      const path = `/files/${encodeURIComponent(fileId)}/content`;
      const body = await send({ method: 'GET', path, headers: ['accept', 'application/binary'], signal }, 404);
      if (!body) return undefined;
      async function* content(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
        try {
          yield* bytes;
        } catch (error) {
          signal.throwIfAborted();
          throw new BatchApiError(reader.readConnectionError(error as NodeJS.ErrnoException));
        }
      }
      return content(body as AsyncIterable<Buffer>);
    },

    async deleteFile(fileId, signal) {
      const body = await send({ method: 'DELETE', path: `/files/${encodeURIComponent(fileId)}`, signal }, 404);
      await body?.dump();
    },

    readAnswer: (url, response) => readLineAnswer(reader, url, response),

    close: () => pool.close(),
  };
};
