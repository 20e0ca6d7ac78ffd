import { setTimeout as delay } from 'node:timers/promises';
import type { BatchObject, Delta, FileObject, ServiceTier, Strategy } from '@promptmill/core';
import type { fetch, Response } from 'undici';
import { CliError } from '../cli-error.ts';
import { readEvents } from './read-events.ts';
import { readLines } from './read-lines.ts';
import { errorOf } from './server-error.ts';
import { createUploadBody } from './upload-body.ts';

export interface ApiClientOptions {
  /** The server's URL, such as `http://127.0.0.1:3000`; a `/v1` at its end is ignored. */
  readonly baseUrl: string;
  readonly apiKey?: string | undefined;
  readonly fetch: typeof fetch;
}

export interface NewBatch {
  readonly input_file_id: string;
  readonly endpoint: string;
  readonly completion_window: string;
  readonly promptmill?: {
    readonly check_schema: boolean;
    /** In USD. */
    readonly max_cost: number | undefined;
    readonly dedupe: boolean | undefined;
    readonly cache?: string | undefined;
    readonly tier: ServiceTier | undefined;
    readonly strategy?: Strategy | undefined;
  };
}

export interface Upload {
  readonly path: string;
  /** The name that the file gets on the server. */
  readonly filename: string;
  readonly idempotencyKey: string;
  /** Is told how much of the file is sent, as `45 %`. */
  readonly onSent?: ((share: string) => void) | undefined;
  readonly signal?: AbortSignal;
}

/** Which requests of a batch to retry, by default all that failed or never ran, and settings of the new batch. */
export interface RetryChoice {
  readonly custom_ids?: readonly string[];
  readonly error_codes?: readonly string[];
  readonly completion_window?: string;
  /** In USD. */
  readonly promptmill?: { readonly max_cost: number };
}

interface Amounts {
  readonly low: number | null;
  readonly expected: number | null;
  readonly high: number | null;
}

/** What a batch will use and cost, as far as the server knows. */
export interface BatchEstimate {
  readonly requests: number;
  readonly input_tokens: number;
  readonly output_tokens: Amounts;
  /** In USD. */
  readonly cost: Amounts;
  readonly models: readonly { readonly model: string; readonly cost: Amounts }[];
}

interface List<Item> {
  readonly data: readonly Item[];
  readonly has_more: boolean;
  readonly last_id: string | null;
}

export interface ResultPage {
  /** Results, each as the output or the error file will hold it. */
  readonly data: readonly unknown[];
  /** The `after` of the page that follows, now or later. */
  readonly next: string;
  readonly has_more: boolean;
}

interface Page {
  /** Where the page before ended. Default: the first page. */
  readonly after?: string | undefined;
  readonly limit: number;
}

interface Call {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly body?: (() => AsyncIterable<Uint8Array>) | string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether the call is sent again after no answer or a temporary error. Default: true for GET, else false. */
  readonly repeatable?: boolean;
  readonly signal?: AbortSignal | undefined;
}

const maxTries = 4;
const firstRetryDelayMs = 250;
const temporaryStatuses = new Set([429, 500, 502, 503, 504]);

const query = ({ after, limit }: Page): string =>
  new URLSearchParams({ limit: String(limit), ...(after === undefined ? {} : { after }) }).toString();

/**
 * The part of Promptmill's HTTP API that the commands need. Every method throws {@link CliError}, with the server's own
 * message and code, or with `unreachable` when there is no connection. After an abort it throws the signal's reason.
 */
export const createApiClient = ({ baseUrl, apiKey, fetch }: ApiClientOptions) => {
  const root = baseUrl.replace(/\/+$/, '').replace(/\/v1$/, '');
  const authorization: Record<string, string> = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };

  const send = async (path: string, { method = 'GET', body, headers, signal }: Call): Promise<Response> => {
    try {
      return await fetch(`${root}/v1${path}`, {
        method,
        headers: { ...authorization, ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : body(), duplex: 'half' as const }),
        ...(signal ? { signal } : {}),
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw new CliError(
        'unreachable',
        `cannot reach ${root}: start it with promptmill serve, or name another with export PROMPTMILL_URL=http://…`,
        { cause: error },
      );
    }
  };

  const call = async (path: string, options: Call = {}): Promise<Response> => {
    const { method = 'GET', repeatable = method === 'GET', signal } = options;
    for (let attempt = 1; ; attempt++) {
      const last = !repeatable || attempt === maxTries;
      const response = await send(path, options).catch((error: unknown) => {
        if (last || !(error instanceof CliError)) throw error;
        return undefined;
      });
      if (response?.ok) return response;
      if (response && (last || !temporaryStatuses.has(response.status))) throw await errorOf(response);
      await response?.body?.cancel();
      await delay(firstRetryDelayMs * 2 ** (attempt - 1), undefined, signal ? { signal } : {});
    }
  };

  const json = async <Answer>(path: string, options?: Call): Promise<Answer> =>
    (await (await call(path, options)).json()) as Answer;

  return {
    /**
     * Uploads a file from the disk, in flat memory. Called again with the same key, it returns the file of the first
     * call.
     */
    uploadFile({ path, filename, idempotencyKey, onSent, signal }: Upload): Promise<FileObject> {
      const { contentType, content } = createUploadBody(path, { filename, onSent });
      return json<FileObject>('/files', {
        method: 'POST',
        body: content,
        headers: { 'content-type': contentType, 'idempotency-key': idempotencyKey },
        repeatable: true,
        signal,
      });
    },
    getFile: (id: string) => json<FileObject>(`/files/${id}`),
    deleteFile: async (id: string): Promise<void> =>
      void (await call(`/files/${id}`, { method: 'DELETE', repeatable: true })),
    async *fileLines(id: string, signal?: AbortSignal): AsyncGenerator<string> {
      const { body } = await call(`/files/${id}/content`, { signal });
      if (body) yield* readLines(body);
    },
    /** Creates a batch. Called again with the same key, it returns the batch of the first call. */
    createBatch: (batch: NewBatch, idempotencyKey: string) =>
      json<BatchObject>('/batches', {
        method: 'POST',
        body: JSON.stringify(batch),
        headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
        repeatable: true,
      }),
    /** Asks what a batch would use and cost. It makes nothing. */
    estimateBatch: (batch: NewBatch, signal?: AbortSignal) =>
      json<BatchEstimate>('/batches/estimate', {
        method: 'POST',
        body: JSON.stringify(batch),
        headers: { 'content-type': 'application/json' },
        repeatable: true,
        signal,
      }),
    getBatch: (id: string) => json<BatchObject>(`/batches/${encodeURIComponent(id)}`),
    cancelBatch: (id: string) =>
      json<BatchObject>(`/batches/${encodeURIComponent(id)}/cancel`, { method: 'POST', repeatable: true }),
    pauseBatch: (id: string) =>
      json<BatchObject>(`/batches/${encodeURIComponent(id)}/pause`, { method: 'POST', repeatable: true }),
    /** @param maxCost what the batch may cost at most from now on, in USD */
    resumeBatch: (id: string, maxCost?: number) =>
      json<BatchObject>(`/batches/${encodeURIComponent(id)}/resume`, {
        method: 'POST',
        ...(maxCost === undefined
          ? {}
          : { body: JSON.stringify({ max_cost: maxCost }), headers: { 'content-type': 'application/json' } }),
        repeatable: true,
      }),
    /** Creates a new batch. Called again with the same key, it returns the batch of the first call. */
    retryBatch: (id: string, choice: RetryChoice, idempotencyKey: string) =>
      json<BatchObject>(`/batches/${encodeURIComponent(id)}/retry`, {
        method: 'POST',
        body: JSON.stringify(choice),
        headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
        repeatable: true,
      }),
    /** Lists batches, newest first. */
    listBatches: (page: Page) => json<List<BatchObject>>(`/batches?${query(page)}`),
    /** Lists the results collected so far, in the order in which they were collected. */
    listResults: (id: string, page: Page) =>
      json<ResultPage>(`/batches/${encodeURIComponent(id)}/results?${query(page)}`),
    /**
     * Opens one connection and yields the batch at each event, until the server ends the connection.
     *
     * @param onDelta gets the text of streamed answers as it comes.
     */
    async *batchEvents(
      id: string,
      signal?: AbortSignal,
      onDelta?: (delta: Delta) => void,
    ): AsyncGenerator<BatchObject> {
      const headers = { accept: 'text/event-stream' };
      const path = `/batches/${encodeURIComponent(id)}/events${onDelta ? '?deltas=true' : ''}`;
      const { body } = await call(path, { headers, signal });
      if (!body) return;
      for await (const event of readEvents(readLines(body))) {
        if (event.name === 'progress' || event.name === 'done') yield JSON.parse(event.data) as BatchObject;
        else if (event.name === 'delta') onDelta?.(JSON.parse(event.data) as Delta);
      }
    },
  };
};

export type ApiClient = ReturnType<typeof createApiClient>;
