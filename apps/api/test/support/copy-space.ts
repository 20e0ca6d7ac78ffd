import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  createTenants,
  fileKey,
  noUsage,
  type Outcome,
  type RequestJob,
  type ResultNote,
  toResult,
} from '@promptmill/core';
import { createDiskStore, mergeSegments, writeSegment } from '@promptmill/files';
import {
  type BatchSnapshot,
  closeRedis,
  connectRedis,
  createBatchCounts,
  createBatchStore,
  createDispatchedRequests,
  createFileRecords,
  createKeys,
  createLaneTurns,
  createResultRecorder,
  createResultsStream,
  createShards,
  type NewBatch,
  openLaneQueue,
} from '@promptmill/queue';
import { createLogger, loadConfig, noFailPoints, type PassFailPoint } from '@promptmill/runtime';
import { newBatch } from '../../../../packages/queue/test/new-batch.ts';
import { deleteKeys } from '../../../../tests/support/redis-keys.ts';
import { createCopying } from '../../src/copies/create-copying.ts';
import { createDispatchWithCopies } from '../../src/copies/dispatch-with-copies.ts';
import { createAddRequests } from '../../src/dispatch/add-requests.ts';
import { createDispatchRequests } from '../../src/dispatch/dispatch-requests.ts';
import { createReconcileBatch } from '../../src/recovery/reconcile-batch.ts';
import { createFindLostRequests } from '../../src/recovery/find-lost-requests.ts';
import { createRecountResults } from '../../src/recovery/recount-results.ts';
import { createRestoreResults } from '../../src/recovery/restore-results.ts';

const { lanes, retry } = loadConfig({ SIMULATOR_BASE_URL: 'http://127.0.0.1:8089/v1' }, { readFile: () => '' });

/** An answer, as its provider sends it. */
export const answerTo = (text: string): Outcome => ({
  kind: 'response',
  statusCode: 200,
  requestId: 'req_1',
  json: JSON.stringify({ text, usage: { prompt_tokens: 2, completion_tokens: 3 } }),
});

/** What each answer costs, in billionths of a dollar. */
export const nanoUsd = 10;

/** The api's dispatch and recovery, on a Redis and a disk, without a worker: tests answer the requests. */
export const openCopySpace = async (redisUrl: string, passFailPoint: PassFailPoint = noFailPoints) => {
  const redis = connectRedis({ url: redisUrl, whileAway: 'wait', onError: () => {} });
  const prefix = `test-${randomBytes(6).toString('hex')}`;
  const keys = createKeys(prefix);
  const directory = await mkdtemp(path.join(tmpdir(), 'promptmill-copies-'));
  const files = createDiskStore({ directory });
  const logger = createLogger({ level: 'silent', role: 'api' });
  const batches = createBatchStore(redis, keys);
  const requests = createDispatchedRequests(redis, keys);
  const records = createFileRecords(redis, keys);
  const counts = createBatchCounts(redis, keys);
  const recorder = createResultRecorder(redis, keys);
  const lane = openLaneQueue(redis, keys, 'simulator');
  const queueOf = () => lane;
  const turns = createLaneTurns(redis, keys);
  const add = createAddRequests({ lanes, queueOf, turns, tenants: createTenants({}), retry, recorder });
  const shards = createShards(redis, keys);
  const copying = createCopying({ redis, keys, batches, requests, files, records, lanes, logger, passFailPoint });
  const stream = createResultsStream({ redis, blocking: redis, keys, consumer: 'test' });
  await stream.ensureGroup();
  let connections = 1;

  const openDispatch = (window: number) =>
    createDispatchWithCopies({
      ...copying,
      dispatch: createDispatchRequests({
        batches,
        counts,
        files,
        requests,
        add,
        window: { requests: window, bytes: 1e9 },
        onDispatched: () => {},
        passFailPoint: noFailPoints,
      }),
    });
  const reconcile = createReconcileBatch({
    batches,
    requests,
    files,
    restore: createRestoreResults({
      batches,
      requests,
      recorder,
      copies: copying.copies,
      shards,
      files,
      lanes,
      logger,
    }),
    recount: createRecountResults({ batches, requests, counts, files, logger }),
    findLost: createFindLostRequests({ lanes, queueOf, requests }),
    add,
    connections: () => connections,
    logger,
    now: Date.now,
  });

  const read = async (id: string): Promise<BatchSnapshot> => {
    const snapshot = await batches.read(id);
    if (!snapshot) throw new Error(`no batch ${id}`);
    return snapshot;
  };

  return {
    redis,
    keys,
    files,
    batches,
    requests,
    copying,
    lane,
    read,
    /** A batch in progress, of requests that each ask what its text says. */
    async start(texts: readonly string[], more: Partial<NewBatch> = {}): Promise<NewBatch> {
      const createdAt = Math.floor(Date.now() / 1000);
      const batch = newBatch({ endpoint: '/v1/completions', createdAt, expiresAt: createdAt + 86_400, ...more });
      const lines = texts.map((prompt, index) =>
        JSON.stringify({
          custom_id: `c${index}`,
          method: 'POST',
          url: '/v1/completions',
          body: { model: 'simulator/echo', prompt, temperature: 0 },
        }),
      );
      await files.put(fileKey(batch.inputFileId), `${lines.join('\n')}\n`);
      await batches.create(batch);
      await batches.transition(batch.id, 'in_progress', Date.now(), { total: texts.length });
      return batch;
    },
    /** Takes a step of the batch's job. */
    step: async (id: string, window = 1000) => openDispatch(window)(await read(id)),
    /** Looks for what Redis has lost, as after a new connection to it. */
    async reconcile(id: string): Promise<boolean> {
      connections++;
      return reconcile(await read(id));
    },
    /** The indexes of a batch's requests that have a job, in order. */
    async jobs(id: string): Promise<number[]> {
      const jobs = (await lane.getJobs(['prioritized', 'waiting'])) as { readonly data: RequestJob }[];
      const indexes = jobs.filter(({ data }) => data.batchId === id).map(({ data }) => data.index);
      return indexes.sort((a, b) => a - b);
    },
    /** Gives requests their results, and collects those into a segment, as worker and collector do. */
    async answer(
      id: string,
      indexes: readonly number[],
      outcomeOf: (index: number) => Outcome = () => answerTo('yes'),
      note: ResultNote = {},
    ): Promise<void> {
      for (const index of indexes) {
        const result = toResult({ batchId: id, index, customId: `c${index}` }, outcomeOf(index), { nanoUsd, ...note });
        const usage = { ...noUsage, inputTokens: 2, outputTokens: 3 };
        const charge = { tenant: 'acme', model: 'simulator/echo', nanoUsd, inputCharacters: 1 };
        await recorder.record({ batchId: id, index, bytes: 10 }, result.status, result.line, usage, charge);
        await (await lane.getJob(`${id}-${index}`))?.remove();
      }
      const results = await stream.read(10_000, 1);
      const entries = results.map(({ entries: entry }) => ({ index: Number.parseInt(entry.toString(), 10), entry }));
      await stream.commit(id, await writeSegment(files, id, entries), results);
    },
    /** Ends a batch that has all of its results, as a collector does. Resolves with its output lines. */
    async end({ id, tenant, outputFileId }: NewBatch): Promise<string[]> {
      const segments = await batches.segments(id);
      const entries = (await Array.fromAsync(mergeSegments(files, id, segments, `scratch/${id}/`))).flat();
      const lines = entries.map(({ line }) => line.toString());
      const bytes = (await files.put(fileKey(outputFileId), `${lines.join('\n')}\n`)).bytes;
      await records.put({
        id: outputFileId,
        tenant,
        filename: 'output.jsonl',
        purpose: 'batch_output',
        bytes,
        createdAt: Math.floor(Date.now() / 1000),
      });
      await batches.transition(id, 'finalizing', Date.now());
      await batches.transition(id, 'completed', Date.now(), { completed: lines.length, outputPublished: true });
      await copying.remember((await read(id)).batch);
      return lines;
    },
    async removeFile(tenant: string, id: string): Promise<void> {
      await records.delete(tenant, id, Date.now(), []);
      await files.delete(fileKey(id));
    },
    async close(): Promise<void> {
      await lane.close();
      await deleteKeys(redis, prefix);
      await closeRedis(redis);
      await rm(directory, { recursive: true });
    },
  };
};

export type CopySpace = Awaited<ReturnType<typeof openCopySpace>>;
