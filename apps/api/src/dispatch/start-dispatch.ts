import { batchesQueueName, upstreamsOf, type OperatorWebhook, type Tenants } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import {
  addBatchJob,
  type BatchJob,
  closeRedis,
  closeWorkers,
  connectRedis,
  createBatchCounts,
  createBatchStore,
  createDeliveries,
  createDispatchedRequests,
  createDueIndex,
  createFileRecords,
  createKeys,
  createLaneTurns,
  createReservedCosts,
  createResultRecorder,
  createShards,
  createTenantCalls,
  createWebhookRecords,
  onBack,
  openBatchesQueue,
  openFinalizeQueue,
  openLaneQueues,
  openShardsQueue,
  openWebhooksQueue,
  openWorker,
  readJobsInWork,
  readLaneState,
  wakeBatchJob,
} from '@promptmill/queue';
import { createErrorLog, type Logger, type Metrics, type PassFailPoint, type Tracing } from '@promptmill/runtime';
import type { DispatchConfig } from '../api-config.ts';
import { createCopying } from '../copies/create-copying.ts';
import { createDispatchWithCopies } from '../copies/dispatch-with-copies.ts';
import { lookTwice } from '../journal/look-twice.ts';
import { createHandOff } from '../hand-off/create-hand-off.ts';
import { createDispatchWithHandOff } from '../hand-off/dispatch-with-hand-off.ts';
import { createAddRequests } from './add-requests.ts';
import { createDispatchRequests } from './dispatch-requests.ts';
import { createFindCallsInFlight } from '../recovery/find-calls-in-flight.ts';
import { createFindLostRequests } from '../recovery/find-lost-requests.ts';
import { createLookAtCost } from './look-at-cost.ts';
import { createObserveBatch } from './observe-batch.ts';
import { createPlaces } from './places.ts';
import { createReconcileBatch } from '../recovery/reconcile-batch.ts';
import { createRecountResults } from '../recovery/recount-results.ts';
import { createRestoreResults } from '../recovery/restore-results.ts';
import { createRetireBatch } from './retire-batch.ts';
import { createRunBatchJob } from './run-batch-job.ts';
import { createStepUp } from './step-up.ts';
import { traceDispatch } from './batch-spans.ts';
import { createValidateBatch } from './validate-batch.ts';
import { createTellOnce, createTellWebhooks } from '../webhooks/tell-webhooks.ts';

export interface StartDispatchOptions {
  readonly config: DispatchConfig;
  readonly tenants: Tenants;
  /** The operator's webhooks that are in force. */
  readonly operatorWebhooks: () => readonly OperatorWebhook[];
  readonly files: FileStore;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly passFailPoint: PassFailPoint;
  /** Resolves when no replay of the journal is under way. */
  readonly replayed: () => Promise<void>;
}

/** How long the steps under way may take when the process stops. */
const longestStepMs = 10_000;

/** How many batches may keep their place between two steps. */
const keptPlaces = 48;
/** Further places, for batches that take turns. */
const turnPlaces = 16;

/** Takes the jobs of the `batches` queue: validates, dispatches and watches each batch to its end. */
export const startDispatch = async (options: StartDispatchOptions) => {
  const { config, tenants, operatorWebhooks, files, logger, metrics, tracing, passFailPoint, replayed } = options;
  const { redisUrl, redisPrefix, lanes, retry, window, limits, keepDays } = config;
  const logError = createErrorLog(logger);
  const onError = (error: Error): void => logError(error, 'dispatch');
  const closing = new AbortController();
  const redis = connectRedis({ url: redisUrl, whileAway: 'wait', onError, closing: closing.signal });
  const keys = createKeys(redisPrefix);
  const batches = createBatchStore(redis, keys);
  const counts = createBatchCounts(redis, keys);
  const records = createFileRecords(redis, keys);
  const finalizeQueue = openFinalizeQueue(redis, keys);
  finalizeQueue.on('error', onError);
  const batchesQueue = openBatchesQueue(redis, keys);
  batchesQueue.on('error', onError);
  const webhooksQueue = openWebhooksQueue(redis, keys);
  webhooksQueue.on('error', onError);
  const shardsQueue = openShardsQueue(redis, keys);
  shardsQueue.on('error', onError);
  const laneQueues = openLaneQueues(redis, keys, onError);
  const queueOf = laneQueues.of;

  let connections = 1;
  onBack(redis, () => connections++);
  const requests = createDispatchedRequests(redis, keys);
  const recorder = createResultRecorder(redis, keys);
  const turns = createLaneTurns(redis, keys);
  const add = createAddRequests({ lanes, queueOf, turns, tenants, retry, recorder });

  const onMoved = (lane: string, count: number): void => metrics.fallbacks.inc({ lane }, count);

  const tell = createTellWebhooks({
    webhooks: createWebhookRecords(redis, keys),
    deliveries: createDeliveries(redis, keys),
    queue: webhooksQueue,
    operators: operatorWebhooks,
    passFailPoint,
    now: Date.now,
  });
  const tellOnce = createTellOnce(tell);
  const tenantCalls = createTenantCalls(redis, keys, tenants.limitsOf);
  const places = createPlaces(keptPlaces);
  const copying = createCopying({ redis, keys, batches, requests, files, records, lanes, logger, passFailPoint });
  const shards = createShards(redis, keys);
  const handOff = createHandOff({
    batches,
    records,
    shards,
    requests,
    files,
    lanes,
    limitsOf: tenants.limitsOf,
    add,
    queue: shardsQueue,
    connections: () => connections,
    passFailPoint,
    now: Date.now,
  });
  const runBatchJob = createRunBatchJob({
    batches,
    records,
    validate: createValidateBatch({
      batches,
      records: { get: (tenant, id) => lookTwice(() => records.get(tenant, id), replayed) },
      lanes,
      limitsOf: tenants.limitsOf,
      maxRequests: limits.maxRequestsPerBatch,
      now: Date.now,
    }),
    dispatch: createDispatchWithCopies({
      ...copying,
      dispatch: createDispatchWithHandOff(
        handOff,
        createDispatchRequests({
          batches,
          counts,
          files,
          requests,
          add,
          window,
          onDispatched(chunk) {
            metrics.dispatched.inc(chunk.requests);
            traceDispatch(tracing, chunk);
          },
          passFailPoint,
        }),
      ),
    }),
    wakeShards: (snapshot) => handOff.wakeShards(snapshot),
    reconcile: createReconcileBatch({
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
    }),
    observe: createObserveBatch({
      batches,
      shards,
      laneState: (lane) => readLaneState(redis, keys, lane, upstreamsOf(lanes, lane), Date.now()),
      mayStall: (name) => lanes.lanes.find((lane) => lane.name === name)?.tier === undefined,
      limitsOf: tenants.limitsOf,
      refusal: (tenant, nowMs) => tenantCalls.refusal(tenant, nowMs),
      tell: tellOnce,
      now: Date.now,
    }),
    stepUp: createStepUp({ lanes, queueOf, turns, tenants, requests, retry, onMoved, now: Date.now }),
    lookAtCost: createLookAtCost({
      batches,
      costs: createReservedCosts(redis, keys, tenants.limitsOf),
      limitsOf: tenants.limitsOf,
      tell: tellOnce,
      now: Date.now,
    }),
    hasCallsInFlight: createFindCallsInFlight((batchId, dispatchedTo) =>
      readJobsInWork(redis, keys, batchId, [...new Set([...dispatchedTo, ...lanes.lanes.map(({ name }) => name)])]),
    ),
    wake: (batchId) => wakeBatchJob(batchesQueue, batchId),
    finalize: (batchId) => addBatchJob(finalizeQueue, batchId),
    retire: createRetireBatch({
      ...copying,
      records,
      counts,
      due: createDueIndex(redis, keys),
      keepDays,
      tell,
      tracing,
      now: Date.now,
    }),
    onBlocked: (batch, reason) => logger.warn({ err: reason, batch }, 'a batch cannot be dispatched'),
    places,
    now: Date.now,
  });
  const worker = openWorker<BatchJob>(runBatchJob, {
    connection: redis,
    keys,
    name: batchesQueueName,
    concurrency: keptPlaces + turnPlaces,
    onError,
  });
  worker.on('failed', (job, error) =>
    logError(error, 'a step of a batch failed; it is tried again', { batch: job?.data.batchId }),
  );

  return {
    async close(): Promise<void> {
      // Another process repeats a step that breaks off.
      closing.abort();
      places.close();
      await closeWorkers([worker], redis, longestStepMs);
      await Promise.all([
        laneQueues.close(),
        finalizeQueue.close(),
        batchesQueue.close(),
        webhooksQueue.close(),
        shardsQueue.close(),
      ]);
      await closeRedis(redis);
    },
  };
};
