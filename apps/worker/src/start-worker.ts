import type { Lane, LaneTable, RequestJob } from '@promptmill/core';
import { createProviderClient, createTokenEstimator, type ProviderClient } from '@promptmill/provider';
import {
  closeRedis,
  connectRedis,
  createDeltaPublisher,
  createKeys,
  createLaneControl,
  createLaneTurns,
  createResultRecorder,
  isReady,
  maxCrashesPerRequest,
  openLaneQueue,
  openWorker,
} from '@promptmill/queue';
import { type Config, createErrorLog, type Logger, type Metrics, type Reach, reachNothing } from '@promptmill/runtime';
import type { Queue } from 'bullmq';
import { createFindWayOut } from './fall-back.ts';
import { createInsist } from './insist.ts';
import { createLaneGate } from './lane-gate.ts';
import { createProcessRequest } from './process-request.ts';
import { createQuarantine } from './quarantine.ts';

export interface StartWorkerOptions {
  readonly config: Pick<Config, 'redisUrl' | 'redisPrefix' | 'lanes' | 'workerConcurrency' | 'retry'>;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** How long calls in flight may go on after `close`, in milliseconds; then they are put back. Default 25000. */
  readonly graceMs?: number;
  /** Default: there are no fail points. */
  readonly reach?: Reach;
}

export interface RunningWorker {
  /** Whether Redis answers. */
  ready(): boolean;
  /** Puts changed limits in force from the next call on. Lanes that are new need a restart. */
  setLimits(lanes: LaneTable): Promise<void>;
  /** Takes no more jobs, lets the calls in flight end, and puts back those that do not end in time. */
  close(): Promise<void>;
}

/** Takes jobs from every lane, one BullMQ worker each. */
export const startWorker = async ({
  config,
  logger,
  metrics,
  graceMs = 25_000,
  reach = reachNothing,
}: StartWorkerOptions): Promise<RunningWorker> => {
  const { redisUrl, redisPrefix, lanes, workerConcurrency, retry } = config;
  const logError = createErrorLog(logger);
  const onError = (error: Error): void => logError(error, 'redis');
  const graceIsOver = new AbortController();
  const insist = createInsist({
    signal: graceIsOver.signal,
    onRefused: (error) => logError(error, 'Redis refuses; what it should take waits'),
  });
  const connection = connectRedis({ url: redisUrl, whileAway: 'wait', onError });
  const keys = createKeys(redisPrefix);
  const recorder = createResultRecorder(connection, keys);
  const deltas = createDeltaPublisher(connection, keys);

  const clients = new Map<string, ProviderClient>();
  const clientOf = ({ provider }: Lane): ProviderClient => {
    const lanesOfProvider = lanes.lanes.filter((lane) => lane.provider === provider).length;
    const client =
      clients.get(provider.name) ??
      createProviderClient(provider, { maxConnections: workerConcurrency * lanesOfProvider });
    clients.set(provider.name, client);
    return client;
  };

  const queues = new Map<string, Queue<RequestJob>>();
  const queueOf = (lane: string): Queue<RequestJob> => {
    const queue = queues.get(lane) ?? openLaneQueue(connection, keys, lane);
    if (!queues.has(lane)) queue.on('error', onError);
    queues.set(lane, queue);
    return queue;
  };
  const turns = createLaneTurns(connection, keys);
  const quarantine = createQuarantine();
  const findWayOut = createFindWayOut({ lanes, queueOf, turns, retry, now: Date.now });

  const openLane = async (lane: Lane) => {
    const control = createLaneControl(connection, keys, lane.name);
    let limitsTokens = false;
    const setLimits = async ({ limits, provider }: Lane): Promise<void> => {
      limitsTokens = limits.tokensPerMinute !== undefined;
      const { probeIntervalMs } = provider;
      await control.setLimits({ limits, startWidth: workerConcurrency, probeIntervalMs });
    };
    await setLimits(lane);
    connection.on('ready', () => {
      control.restoreLimits().catch((error: unknown) => logError(error, 'limits'));
    });
    const { timeoutMs } = lane.provider;
    const gate = createLaneGate({
      control,
      isRunning: (batchId) => recorder.isRunning(batchId),
      timeoutMs,
      onHold: (reason, heldUntilMs) => {
        metrics.laneHolds.inc({ lane: lane.name });
        logger.warn({ lane: lane.name, reason, until: new Date(heldUntilMs).toISOString() }, 'lane held');
      },
      onError: (error) => logError(error, 'lane', { lane: lane.name }),
    });
    const estimator = createTokenEstimator();
    const { processRequest, recordLost } = createProcessRequest({
      lane,
      client: clientOf(lane),
      recorder,
      deltas,
      gate,
      takeRetry: () => control.takeRetry(),
      // Counting tokens takes time; only a lane that limits them needs it.
      estimator: () => (limitsTokens ? estimator : undefined),
      findWayOut,
      quarantine,
      retry,
      insist,
      reach,
      onFallback: () => metrics.fallbacks.inc({ lane: lane.name }),
      onCall: (result, durationMs) => {
        metrics.calls.inc({ lane: lane.name, class: result.kind === 'failure' ? result.class : result.kind });
        metrics.callDuration.observe({ lane: lane.name }, durationMs / 1000);
      },
    });
    const worker = openWorker<RequestJob>(processRequest, {
      connection,
      keys,
      name: lane.name,
      concurrency: workerConcurrency,
      retry,
      maxCrashes: maxCrashesPerRequest,
      onError,
    });
    worker.on('failed', (job, error) => {
      // Recording again what the processor recorded changes nothing; a job that BullMQ gave up is recorded here first.
      if (job && job.finishedOn !== undefined)
        recordLost(job.data, error.message).catch((reason: unknown) => logger.error({ err: reason }, 'record lost'));
    });
    return { name: lane.name, worker, gate, setLimits };
  };

  const open = await Promise.all(lanes.lanes.map(openLane));
  logger.info({ lanes: lanes.lanes.length, concurrency: workerConcurrency }, 'worker started');

  return {
    ready: () => isReady(connection),
    async setLimits({ lanes: changed }) {
      for (const lane of changed) await open.find(({ name }) => name === lane.name)?.setLimits(lane);
    },
    async close() {
      for (const { gate } of open) gate.shut();
      const putBack = setTimeout(() => {
        graceIsOver.abort();
        for (const { worker } of open) worker.cancelAllJobs('the worker is stopping');
      }, graceMs);
      await Promise.all(open.map(({ worker }) => worker.close()));
      clearTimeout(putBack);
      await Promise.all(open.map(({ gate }) => gate.close()));
      await Promise.all([...clients.values()].map((client) => client.close()));
      await Promise.all([...queues.values()].map((queue) => queue.close()));
      await closeRedis(connection);
    },
  };
};
