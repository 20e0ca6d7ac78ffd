import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { ApiError, type JsonObject, newBatchId, newFileId, noUsage } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import { invalidParameter } from '../api-error.ts';
import { readJsonBody } from '../read-json-body.ts';
import { type Headers, sendError, sendJson } from '../send-answer.ts';
import { readBatchRequest } from './batch-request.ts';
import { defaultBatchRules } from './batch-rules.ts';
import { listPage } from './list-page.ts';
import { receiveUpload } from './receive-upload.ts';
import { openRecords } from './records.ts';
import { createRunBatch, type RunBatchDeps } from './run-batch.ts';
import { hasEnded, type StoredBatch, toBatchObject } from './stored-batch.ts';
import { contentKey, type StoredFile, toFileObject } from './stored-file.ts';

export interface BatchApi {
  /** Answers a request below `/v1/files` or `/v1/batches`; false for any other, which is not answered then. */
  handle(request: IncomingMessage, response: ServerResponse, headers: Headers): boolean;
  /** Cuts off all batches, as a kill would, and resolves when nothing is written any more. */
  close(): Promise<void>;
}

type BatchApiDeps = Omit<RunBatchDeps, 'files' | 'batches' | 'signal'> & { readonly store: FileStore };

const maxBodyBytes = 2 ** 20;

function notFound(what: 'file' | 'batch', id: string): ApiError {
  return new ApiError(404, `No such ${what}: ${id}`, { code: 'not_found', param: 'id' });
}

function readBody(request: IncomingMessage): Promise<JsonObject> {
  return new Promise((resolve, reject) => {
    readJsonBody(request, maxBodyBytes, (read) => (read.status === 'read' ? resolve(read.body) : reject(read.error)));
  });
}

/** OpenAI's Files and Batch API. Batches that had not ended go on. */
export async function openBatchApi(deps: BatchApiDeps): Promise<BatchApi> {
  const { store, behaviour, random, now } = deps;
  const files = await openRecords<StoredFile>(store, 'files');
  const batches = await openRecords<StoredBatch>(store, 'batches');
  const abort = new AbortController();
  const runBatch = createRunBatch({ ...deps, files, batches, signal: abort.signal });
  const running = new Set<Promise<void>>();
  const rules = () => ({ ...defaultBatchRules, ...behaviour().batchApi });

  /** A failure that is no abort ends the process, as an unhandled rejection. */
  function run(id: string): void {
    const ended = runBatch(id).catch((error: unknown) => {
      if (!abort.signal.aborted) throw error;
    });
    running.add(ended);
    void ended.finally(() => running.delete(ended));
  }

  const shown = (batch: StoredBatch) => toBatchObject(batch, rules().windowMs);

  function fileOf(id: string): StoredFile {
    const file = files.get(id);
    if (!file) throw notFound('file', id);
    return file;
  }

  function batchOf(id: string): StoredBatch {
    const batch = batches.get(id);
    if (!batch) throw notFound('batch', id);
    return batch;
  }

  async function upload(request: IncomingMessage): Promise<unknown> {
    const id = newFileId();
    const { fields, filename, bytes } = await receiveUpload(request, (content) => store.put(contentKey(id), content));
    if (fields['purpose'] !== 'batch') {
      await store.delete(contentKey(id));
      throw invalidParameter('purpose', "'batch'");
    }
    const seconds = Number(fields['expires_after[seconds]'] ?? Number.NaN);
    const createdAtMs = now();
    const expiry = Number.isNaN(seconds) ? {} : { expiresAtMs: createdAtMs + 1000 * seconds };
    const file: StoredFile = { id, createdAtMs, bytes, filename, purpose: 'batch', ...expiry };
    await files.put(file);
    return toFileObject(file);
  }

  async function create(request: IncomingMessage): Promise<unknown> {
    const asked = readBatchRequest(await readBody(request));
    if (files.get(asked.inputFileId)?.purpose !== 'batch')
      throw invalidParameter('input_file_id', 'the id of a file with the purpose batch');
    const createdAtMs = now();
    const batch: StoredBatch = {
      id: newBatchId(),
      createdAtMs,
      ...asked,
      outputFileId: newFileId(),
      errorFileId: newFileId(),
      hasOutput: false,
      hasErrors: false,
      status: 'validating',
      reachedAtMs: {},
      errors: [],
      total: 0,
      completed: 0,
      failed: 0,
      usage: noUsage,
      inputTokens: 0,
    };
    await batches.put(batch);
    run(batch.id);
    return shown(batch);
  }

  async function cancel(id: string): Promise<unknown> {
    const batch = batchOf(id);
    if (batch.status === 'validating' || batch.status === 'in_progress') {
      const reachedAtMs = { ...batch.reachedAtMs, cancelling: now() };
      await batches.put({ ...batch, status: 'cancelling', reachedAtMs });
    } else if (batch.status !== 'cancelling') {
      throw new ApiError(400, `Cannot cancel a batch with status '${batch.status}'.`, { code: 'invalid_status' });
    }
    return shown(batchOf(id));
  }

  function listFiles(query: URLSearchParams): unknown {
    const purpose = query.get('purpose');
    const found = files.list().filter((file) => purpose === null || file.purpose === purpose);
    const inOrder = query.get('order') === 'asc' ? found.toReversed() : found;
    return listPage(inOrder.map(toFileObject), query, { usual: 10_000, most: 10_000 });
  }

  async function deleteFile(id: string): Promise<unknown> {
    await files.delete(fileOf(id).id);
    await store.delete(contentKey(id));
    return { id, object: 'file', deleted: true };
  }

  async function sendContent(id: string, response: ServerResponse, headers: Headers): Promise<void> {
    const { bytes } = fileOf(id);
    const content = await store.get(contentKey(id));
    response.writeHead(200, { ...headers, 'content-type': 'application/octet-stream', 'content-length': bytes });
    await pipeline(content, response);
  }

  /** The answer to a request; undefined when there is no such route. */
  async function answerTo(request: IncomingMessage, url: URL): Promise<unknown> {
    const [, , kind = '', id = '', action = ''] = url.pathname.split('/');
    switch (`${request.method} ${kind}${id && '/id'}${action && `/${action}`}`) {
      case 'POST files':
        return upload(request);
      case 'GET files':
        return listFiles(url.searchParams);
      case 'GET files/id':
        return toFileObject(fileOf(id));
      case 'DELETE files/id':
        return deleteFile(id);
      case 'POST batches':
        return create(request);
      case 'GET batches':
        return listPage(batches.list().map(shown), url.searchParams, { usual: 20, most: 100 });
      case 'GET batches/id':
        return shown(batchOf(id));
      case 'POST batches/id/cancel':
        return cancel(id);
      default:
        throw new ApiError(404, `Invalid URL (${request.method} ${url.pathname})`);
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse, headers: Headers): Promise<void> {
    const url = new URL(request.url ?? '', 'http://simulator');
    const [, contentOf] = (request.method === 'GET' && /^\/v1\/files\/([^/]+)\/content$/.exec(url.pathname)) || [];
    if (contentOf !== undefined) {
      await sendContent(contentOf, response, headers);
      return;
    }
    const body = JSON.stringify(await answerTo(request, url));
    const isCreation = request.method === 'POST' && /^\/v1\/(files|batches)$/.test(url.pathname);
    if (isCreation && random() < rules().lostAnswers) response.destroy();
    else sendJson(response, 200, body, headers);
  }

  for (const batch of batches.list()) if (!hasEnded(batch)) run(batch.id);

  return {
    handle(request, response, headers) {
      if (!/^\/v1\/(files|batches)(\/|\?|$)/.test(request.url ?? '')) return false;
      answer(request, response, headers).catch((error: unknown) => {
        if (response.headersSent) response.destroy();
        else if (error instanceof ApiError) sendError(response, error, headers);
        else sendError(response, new ApiError(500, `The simulator failed: ${String(error)}`), headers);
      });
      return true;
    },
    async close() {
      abort.abort();
      await Promise.all(running);
    },
  };
}
