import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileKey, newBatchId, newFileId, noUsage, promptToLine, resultLine } from '@promptmill/core';
import { createDiskStore } from '@promptmill/files';
import {
  closeRedis,
  connectRedis,
  createBatchStore,
  createDueIndex,
  createFileRecords,
  createKeptAnswers,
  createKeptCalls,
  createKeys,
  createResultRecorder,
  createResultsStream,
  type NewBatch,
  type RedisConnection,
} from '@promptmill/queue';
import { inject } from 'vitest';
import { deleteKeys } from '../../../tests/support/redis-keys.ts';

export const createdAt = 1_795_000_000;

/** The result line of a request that was answered. */
export const answerLine = (batchId: string, index: number, succeeded: boolean): string =>
  resultLine(
    { batchId, index, customId: `request-${index + 1}` },
    {
      kind: 'response',
      statusCode: succeeded ? 200 : 400,
      requestId: `req_${index}`,
      json: JSON.stringify({ index, text: 'x'.repeat(20_000) }),
    },
  );

/** Requests `request-1` … with the blank lines and line endings that people's files have. */
export const inputOf = (count: number): string =>
  Array.from({ length: count }, (_, i) => promptToLine(`Say ${i}`, i + 1, { model: 'simulator/echo' }))
    .map((line, i) => (i % 2 ? `${line}\r\n \n` : `\n${line}\n`))
    .join('');

/** A part of the tests' Redis and a folder that no other test touches, with what a collector needs. */
export const openCollectorSpace = async () => {
  const directory = await mkdtemp(join(tmpdir(), 'promptmill-collector-'));
  const prefix = `test-${randomBytes(6).toString('hex')}`;
  const keys = createKeys(prefix);
  const connections: RedisConnection[] = [];
  const connect = () => {
    const redis = connectRedis({ url: inject('redisUrl'), whileAway: 'wait', onError: () => {} });
    connections.push(redis);
    return redis;
  };
  const redis = connect();
  const files = createDiskStore({ directory });
  const batches = createBatchStore(redis, keys);
  const recorder = createResultRecorder(redis, keys);

  return {
    keys,
    redis,
    files,
    batches,
    due: createDueIndex(redis, keys),
    kept: createKeptCalls(redis, keys),
    answers: createKeptAnswers(redis, keys),
    records: createFileRecords(redis, keys),
    openStream: (consumer: string) => createResultsStream({ redis, blocking: connect(), keys, consumer }),

    async startBatch(total: number, more: Partial<NewBatch> = {}): Promise<NewBatch> {
      const batch: NewBatch = {
        id: newBatchId(),
        tenant: 'acme',
        endpoint: '/v1/chat/completions',
        inputFileId: newFileId(),
        completionWindow: '24h',
        metadata: null,
        outputFileId: newFileId(),
        errorFileId: newFileId(),
        createdAt,
        expiresAt: createdAt + 86_400,
        ...more,
      };
      await batches.create(batch);
      await batches.transition(batch.id, 'in_progress', createdAt * 1000, { total });
      return batch;
    },

    putInput: ({ inputFileId }: NewBatch, input: string) => files.put(fileKey(inputFileId), input),

    /** Records an answer for each index, in this order. */
    async record({ id }: NewBatch, indexes: readonly number[], succeeds: (index: number) => boolean): Promise<void> {
      for (const index of indexes) {
        const request = { batchId: id, index, bytes: 1 };
        const status = succeeds(index) ? 'completed' : 'failed';
        await recorder.record(request, status, answerLine(id, index, succeeds(index)), noUsage);
      }
    },

    async close(): Promise<void> {
      await deleteKeys(redis, prefix);
      await Promise.all(connections.map(closeRedis));
      await rm(directory, { recursive: true });
    },
  };
};

export type CollectorSpace = Awaited<ReturnType<typeof openCollectorSpace>>;
