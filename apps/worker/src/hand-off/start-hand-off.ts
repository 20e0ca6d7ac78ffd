import { lacksKey, type LaneTable, type Provider, shardsQueueName } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import { type AnswerCheck, type BatchApiClient, createBatchApiClient, type PriceList } from '@promptmill/provider';
import {
  createBatchStore,
  createDispatchedRequests,
  createShards,
  type Keys,
  openWorker,
  type RedisConnection,
  type ResultRecorder,
  type ShardJob,
} from '@promptmill/queue';
import { createErrorLog, type Logger, type Metrics, type PassFailPoint } from '@promptmill/runtime';
import { createRunShard } from './run-shard.ts';
import { createShardLines } from './shard-lines.ts';
import { createTakeResults } from './take-results.ts';

export interface StartHandOffOptions {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  readonly files: FileStore;
  readonly lanes: LaneTable;
  readonly recorder: Pick<ResultRecorder, 'noteWaste' | 'noteRefusal'>;
  readonly prices: PriceList;
  readonly answers: AnswerCheck;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'spending'>;
  readonly giveUp: AbortSignal;
  readonly passFailPoint: PassFailPoint;
}

/** Steps at once in a process: each may read and write a whole shard. */
const stepsAtOnce = 4;

/** Whether a worker has a provider with a batch API that it can call, and so needs the file store. */
export const handsOff = ({ lanes }: LaneTable): boolean =>
  lanes.some(({ provider }) => provider.batchApi !== undefined && !lacksKey(provider));

/** Takes the jobs of the queue `shards`: each brings a part of a batch through its provider's batch API. */
export const startHandOff = (options: StartHandOffOptions) => {
  const { connection, keys, files, lanes, recorder, prices, answers, logger, metrics, giveUp, passFailPoint } = options;
  const logError = createErrorLog(logger);
  const clients = new Map<string, BatchApiClient>();
  const clientOf = (provider: Provider): BatchApiClient => {
    const client = clients.get(provider.name) ?? createBatchApiClient(provider);
    clients.set(provider.name, client);
    return client;
  };
  const shards = createShards(connection, keys);
  const requests = createDispatchedRequests(connection, keys);
  const lines = createShardLines({ files, requests, lanes });
  const runShard = createRunShard({
    batches: createBatchStore(connection, keys),
    shards,
    lanes,
    clientOf,
    lines,
    take: createTakeResults({ files, lines, requests, shards, recorder, prices, answers, metrics, passFailPoint }),
    noteRefusal: (batchId, refusal) => recorder.noteRefusal(batchId, refusal),
    giveUp,
    onFailure: ({ provider, model }, { failure: { code, message, detail } }) =>
      logError(`${code}: ${detail ?? message}`, 'a batch API failed', { provider, model }),
    passFailPoint,
    now: Date.now,
  });
  const worker = openWorker<ShardJob>(runShard, {
    connection,
    keys,
    name: shardsQueueName,
    concurrency: stepsAtOnce,
    onError: (error) => logError(error, 'redis'),
  });
  worker.on('failed', (job, error) => logError(error, 'a step of a shard failed; it is tried again', { ...job?.data }));
  return {
    worker,
    async close(): Promise<void> {
      await Promise.all([...clients.values()].map((client) => client.close()));
    },
  };
};
