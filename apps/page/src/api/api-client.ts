import type { BatchObject, Delta, FileObject } from '@promptmill/core';
import { ApiError, readError } from './api-error.ts';
import type {
  AdminBatch,
  BatchEstimate,
  Caller,
  Conversion,
  Failures,
  FileConversion,
  FilePreview,
  Lane,
  LaneLimits,
  Page,
  RequestLine,
  ResultPage,
  UsageRow,
  Webhook,
  WebhookDelivery,
} from './answers.ts';
import type { BatchBody } from '../new-batch/draft.ts';
import type { ProgressPoint } from '../batch/progress-points.ts';
import { readEvents } from './read-events.ts';

export interface ApiClientOptions {
  readonly fetch: typeof fetch;
  /** The key that calls bear now; undefined: none. */
  readonly keyOf: () => string | undefined;
  /** Is told that the API takes the key no more, or wants one. */
  readonly onUnauthorized: () => void;
}

interface Call {
  readonly method?: 'POST' | 'DELETE';
  /** A form, or what is sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: that of the session. */
  readonly key?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ListQuery {
  readonly after?: string | undefined;
  /** 1 to 100. */
  readonly limit: number;
  readonly status?: string | undefined;
  /** A part of the batch's id, model or metadata. */
  readonly search?: string | undefined;
}

export interface ResultQuery {
  /** The `next` of an earlier page, or `end` for what comes from now on. Default: the first. */
  readonly after?: string | undefined;
  readonly limit: number;
  readonly status?: 'completed' | 'failed' | undefined;
  readonly error_code?: string | undefined;
  readonly search?: string | undefined;
}

export interface UsageQuery {
  readonly by: 'day' | 'model' | 'tenant';
  /** The first day, in UTC, as `2026-11-28`. */
  readonly from: string;
}

/** Which requests to run again. Default: all that failed. */
export interface RetryChoice {
  readonly error_codes?: readonly string[];
  readonly custom_ids?: readonly string[];
}

const queryOf = (values: object): string => {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== '');
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
};

/** A name for one wish, so that a repeat of its call changes nothing more. Not only `https` has these bytes. */
export const newIdempotencyKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

/** The calls that the page makes. Each rejects with {@link ApiError}, or with the signal's reason. */
export const createApiClient = ({ fetch, keyOf, onUnauthorized }: ApiClientOptions) => {
  const call = async (path: string, { method, body, headers, key, signal }: Call = {}): Promise<Response> => {
    const isForm = body instanceof FormData;
    const bearer = key ?? keyOf();
    const response = await fetch(path, {
      method: method ?? 'GET',
      headers: {
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
        ...(body === undefined || isForm ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
      cache: 'no-store',
      credentials: 'omit',
    }).catch((error: unknown) => {
      signal?.throwIfAborted();
      throw new ApiError(0, `The server cannot be reached: ${String(error)}`, 'unreachable');
    });
    if (response.ok) return response;
    if (response.status === 401 && key === undefined) onUnauthorized();
    throw await readError(response);
  };

  const json = async <Answer>(path: string, options?: Call): Promise<Answer> =>
    (await (await call(path, options)).json()) as Answer;

  const change = (id: string, what: string, options: Omit<Call, 'method'> = {}): Promise<BatchObject> =>
    json(`/v1/batches/${encodeURIComponent(id)}/${what}`, { method: 'POST', ...options });

  return {
    /** Whose key it is. @param key default: that of the session */
    caller: (key?: string) => json<Caller>('/v1/caller', { key }),
    listBatches: (query: ListQuery, signal?: AbortSignal) =>
      json<Page<BatchObject>>(`/v1/batches?${queryOf(query)}`, { signal }),
    /** The names of all tenants; for admins. */
    listTenants: async () => (await json<{ data: { id: string }[] }>('/v1/admin/tenants')).data.map(({ id }) => id),
    listBatchesOf: (tenant: string, query: ListQuery, signal?: AbortSignal) =>
      json<Page<AdminBatch>>(`/v1/admin/batches?${queryOf({ tenant, ...query })}`, { signal }),
    cancelBatchOfAny: (id: string) =>
      json<AdminBatch>(`/v1/admin/batches/${encodeURIComponent(id)}/cancel`, { method: 'POST' }),

    getBatch: (id: string, signal?: AbortSignal) =>
      json<BatchObject>(`/v1/batches/${encodeURIComponent(id)}`, { signal }),
    pauseBatch: (id: string) => change(id, 'pause'),
    /** @param maxCost what it may cost at most from now on, in USD; default: as before */
    resumeBatch: (id: string, maxCost?: number) =>
      change(id, 'resume', maxCost === undefined ? {} : { body: { max_cost: maxCost } }),
    cancelBatch: (id: string) => change(id, 'cancel'),
    retryBatch: (id: string, choice: RetryChoice) =>
      change(id, 'retry', { body: choice, headers: { 'idempotency-key': newIdempotencyKey() } }),

    /** How far the batch was over time, oldest first. */
    listProgress: async (id: string, signal?: AbortSignal) =>
      (await json<{ data: ProgressPoint[] }>(`/v1/batches/${encodeURIComponent(id)}/progress`, { signal })).data,
    listResults: (id: string, query: ResultQuery, signal?: AbortSignal) =>
      json<ResultPage>(`/v1/batches/${encodeURIComponent(id)}/results?${queryOf(query)}`, { signal }),
    /** What failed, by code. @param after the `next` of an earlier answer */
    listFailures: (id: string, after?: string, signal?: AbortSignal) =>
      json<Failures>(`/v1/batches/${encodeURIComponent(id)}/failures?${queryOf({ after })}`, { signal }),
    /** The input lines of requests, by their index. */
    listRequests: async (id: string, indexes: readonly number[], signal?: AbortSignal) => {
      const path = `/v1/batches/${encodeURIComponent(id)}/requests?${queryOf({ indexes: indexes.join(',') })}`;
      return (await json<{ data: RequestLine[] }>(path, { signal })).data;
    },
    listLanes: async () => (await json<{ data: Lane[] }>('/v1/lanes')).data,
    /** Changes limits of a lane, for admins. Null: as configured. */
    changeLane: (id: string, limits: Partial<LaneLimits>) =>
      json<Lane>(`/v1/admin/lanes/${encodeURIComponent(id)}`, { method: 'POST', body: limits }),
    /** What the caller has used. */
    listUsage: async (query: UsageQuery, signal?: AbortSignal) =>
      (await json<{ data: UsageRow[] }>(`/v1/usage?${queryOf(query)}`, { signal })).data,
    /** What a tenant has used, or all of them; for admins. */
    listUsageOf: async (tenant: string | undefined, query: UsageQuery, signal?: AbortSignal) =>
      (await json<{ data: UsageRow[] }>(`/v1/admin/usage?${queryOf({ tenant, ...query })}`, { signal })).data,
    listWebhooks: async (signal?: AbortSignal) =>
      (await json<Page<Webhook>>('/v1/webhooks?limit=100', { signal })).data,
    /** The latest deliveries to a webhook, newest first. */
    listDeliveries: async (webhookId: string, signal?: AbortSignal) =>
      (await json<Page<WebhookDelivery>>(`/v1/webhooks/${webhookId}/deliveries?limit=20`, { signal })).data,
    resendDelivery: (webhookId: string, id: string) =>
      json<WebhookDelivery>(`/v1/webhooks/${webhookId}/deliveries/${id}/resend`, { method: 'POST' }),
    getFile: (id: string) => json<FileObject>(`/v1/files/${encodeURIComponent(id)}`),
    /** The content of a file, as it comes. */
    fileContent: async (id: string, signal?: AbortSignal) =>
      call(`/v1/files/${encodeURIComponent(id)}/content`, { signal }),

    /** Begins to upload a file in parts, which is kept for a day. @param bytes of the whole file */
    createUpload: (filename: string, bytes: number, signal: AbortSignal) =>
      json<{ id: string }>('/v1/uploads', {
        method: 'POST',
        body: {
          filename,
          bytes,
          purpose: 'batch',
          mime_type: 'application/octet-stream',
          expires_after: { anchor: 'created_at', seconds: 86_400 },
        },
        signal,
      }),
    addPart(uploadId: string, part: Blob, signal: AbortSignal) {
      const form = new FormData();
      form.set('data', part);
      return json<{ id: string }>(`/v1/uploads/${uploadId}/parts`, { method: 'POST', body: form, signal });
    },
    completeUpload: (uploadId: string, partIds: readonly string[], signal: AbortSignal) =>
      json<{ file: FileObject }>(`/v1/uploads/${uploadId}/complete`, {
        method: 'POST',
        body: { part_ids: partIds },
        signal,
      }),
    cancelUpload: (uploadId: string) => json(`/v1/uploads/${uploadId}/cancel`, { method: 'POST' }),
    previewFile: (id: string, body: Conversion, signal: AbortSignal) =>
      json<FilePreview>(`/v1/files/${id}/preview`, { method: 'POST', body, signal }),
    convertFile: (id: string, body: Conversion, signal: AbortSignal) =>
      json<FileConversion>(`/v1/files/${id}/convert`, { method: 'POST', body, signal }),
    deleteFile: (id: string) => json(`/v1/files/${id}`, { method: 'DELETE' }),
    listModels: async () => (await json<{ data: { id: string }[] }>('/v1/models')).data.map(({ id }) => id),
    estimateBatch: (body: BatchBody, signal: AbortSignal) =>
      json<BatchEstimate>('/v1/batches/estimate', { method: 'POST', body, signal }),
    createBatch: (body: BatchBody, idempotencyKey: string) =>
      json<BatchObject>('/v1/batches', { method: 'POST', body, headers: { 'idempotency-key': idempotencyKey } }),

    /** Opens one connection and tells the batch at each event, and text of streamed answers, until the connection ends. */
    async watchBatch(
      id: string,
      told: { onBatch: (batch: BatchObject) => void; onDelta: (delta: Delta) => void },
      signal: AbortSignal,
    ): Promise<void> {
      const { body } = await call(`/v1/batches/${encodeURIComponent(id)}/events?deltas=true`, { signal });
      if (!body) return;
      for await (const { event, data } of readEvents(body)) {
        if (event === 'delta') told.onDelta(JSON.parse(data) as Delta);
        else told.onBatch(JSON.parse(data) as BatchObject);
      }
    },
  };
};

export type ApiClient = ReturnType<typeof createApiClient>;
