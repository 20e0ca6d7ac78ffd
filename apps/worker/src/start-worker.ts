import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { calledBy, createTenants, type Lane, type Provider, type RequestJob } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import {
  createAnswerCheck,
  createPriceList,
  createProviderClient,
  createSchemaChecker,
  openTokenEstimator,
  type ProviderClient,
  type TokenEstimator,
} from '@promptmill/provider';
import {
  closeRedis,
  closeWorkers,
  connectRedis,
  createDeltaPublisher,
  createKeptCalls,
  createKeys,
  createLaneTurns,
  createLiveSender,
  createReservedCosts,
  createResultRecorder,
  createTenantCalls,
  createUsageCounter,
  finishedRequestJobs,
  type JobLock,
  listenForHangUps,
  onBack,
  openLaneQueues,
  openWorker,
  promoteJob,
} from '@promptmill/queue';
import {
  type Config,
  createErrorLog,
  type Logger,
  type Metrics,
  noFailPoints,
  noTracing,
  type PassFailPoint,
  type Tracing,
} from '@promptmill/runtime';
import { createChargeCalls } from './charge-calls.ts';
import { createCostGate } from './cost/cost-gate.ts';
import { createFirstCost } from './cost/first-cost.ts';
import { handsOff, startHandOff } from './hand-off/start-hand-off.ts';
import { createFindFallback } from './lane/fallback.ts';
import { createLaneEstimator } from './lane/lane-estimator.ts';
import { createLineUp } from './lane/line-up.ts';
import { createLaneGate } from './lane/lane-gate.ts';
import { openUpstreams } from './lane/open-upstreams.ts';
import { createLiveRequests } from './live-requests.ts';
import { createProcessRequest } from './process-request.ts';
import { createQuarantine } from './quarantine.ts';
import { createRequestRecorder } from './request-recorder.ts';
import { createTenantGate } from './tenant/tenant-gate.ts';
import { createUntilRedisTakes } from './until-redis-takes.ts';

export interface StartWorkerOptions {
  readonly config: Pick<
    Config,
    'redisUrl' | 'redisPrefix' | 'lanes' | 'tenants' | 'workerConcurrency' | 'retry' | 'graceMs'
  >;
  /** Opens the file store. It is asked for only where a provider with a batch API can be called. */
  readonly openFiles: () => Promise<FileStore>;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Default: nothing is traced. */
  readonly tracing?: Tracing;
  /** Default: there are no fail points. */
  readonly passFailPoint?: PassFailPoint;
}

export interface RunningWorker {
  /** Whether Redis answers. */
  ready(): boolean;
  /** Applies changed limits from the next call on. New lanes need a restart. */
  setLimits(config: Pick<Config, 'lanes' | 'tenants'>): Promise<void>;
  /**
   * Takes no more jobs, lets the calls in flight end, and puts back those that do not end in time. Throws when Redis
   * did not take an answer in that time, which is then lost.
   */
  close(): Promise<void>;
}

/** Jobs that share calls with others, beyond the calls in flight, for each lane: their answers are in memory together. */
const mostInGroups = 2048;
/** Time after the grace in which the calls end that were given up. */
const letGoMs = 5000;
/** How often a closing worker looks whether Redis is there. */
const lookEveryMs = 100;

/** Takes jobs from every lane, one BullMQ worker each. */
export const startWorker = async ({
  config,
  openFiles,
  logger,
  metrics,
  tracing = noTracing,
  passFailPoint = noFailPoints,
}: StartWorkerOptions): Promise<RunningWorker> => {
  const { redisUrl, redisPrefix, lanes, workerConcurrency, retry, graceMs } = config;
  const logError = createErrorLog(logger);
  const onError = (error: Error): void => logError(error, 'redis');
  const giveUp = new AbortController();
  // Each call under way listens to it.
  setMaxListeners(0, giveUp.signal);
  const unrecorded = new Set<JobLock>();
  const untilRedisTakes = createUntilRedisTakes({
    signal: giveUp.signal,
    onRefused: (error) => logError(error, 'Redis refuses a command; it is tried again'),
  });
  const connection = connectRedis({ url: redisUrl, whileAway: 'wait', onError, closing: giveUp.signal });
  const keys = createKeys(redisPrefix);
  const results = createResultRecorder(connection, keys);
  const live = createLiveRequests({
    sender: createLiveSender(connection, keys),
    kept: createKeptCalls(connection, keys),
    untilRedisTakes,
    isHearing: () => hangUps.isHearing(),
    giveUp: giveUp.signal,
  });
  const liveUsage = createUsageCounter(connection, keys, onError);
  const recorder = createRequestRecorder(results, live, liveUsage);
  const hangUps = listenForHangUps(
    connectRedis({ url: redisUrl, whileAway: 'wait', onError, closing: giveUp.signal }),
    keys,
    (callId) => live.hangUp(callId),
  );
  const deltas = createDeltaPublisher(connection, keys);

  const clients = new Map<Provider, ProviderClient>();
  const clientOf = (provider: Provider): ProviderClient => {
    const lanesOfProvider = lanes.lanes.filter((lane) => calledBy(lane).includes(provider)).length;
    // One connection of each lane is for neutral looks: its calls may all hang.
    const client =
      clients.get(provider) ??
      createProviderClient(provider, { maxConnections: (workerConcurrency + 1) * lanesOfProvider });
    clients.set(provider, client);
    return client;
  };

  const laneQueues = openLaneQueues(connection, keys, onError);
  const queueOf = laneQueues.of;
  const turns = createLaneTurns(connection, keys);
  const tenants = createTenants(config.tenants);
  const quarantine = createQuarantine();
  const findFallback = createFindFallback({ lanes, queueOf, turns, weightOf: tenants.weightOf, retry, now: Date.now });

  let tenantEstimator: TokenEstimator | undefined;
  const setTenants = async (changed: typeof config.tenants): Promise<void> => {
    tenants.replace(changed);
    if (tenants.limitTokens()) tenantEstimator ??= await openTokenEstimator();
  };
  await setTenants(config.tenants);
  const prices = createPriceList();
  const schemas = createSchemaChecker();
  const answers = createAnswerCheck(schemas);
  const tenantGate = createTenantGate({
    tenants,
    calls: createTenantCalls(connection, keys, tenants.limitsOf),
    estimator: () => tenantEstimator,
    promote: ({ lane, jobId }) => promoteJob(queueOf(lane), jobId),
    onError: (error) => logError(error, 'tenant limits'),
  });

  const costGate = createCostGate({
    tenants,
    costs: createReservedCosts(connection, keys, tenants.limitsOf),
    prices,
    firstCost: createFirstCost(),
    writeLiveUsage: () => liveUsage.write(),
    untilRedisTakes,
    onError: (error) => logError(error, 'cost limits'),
    now: Date.now,
  });

  const process = randomUUID();
  const openLane = async (lane: Lane) => {
    const onLaneError = (error: unknown): void => logError(error, 'lane', { lane: lane.name });
    const opened = await openUpstreams(lane, {
      connection,
      keys,
      process,
      startWidth: workerConcurrency,
      clientOf,
      giveUp: giveUp.signal,
      logger,
      metrics,
      onError: onLaneError,
    });
    const estimator = createLaneEstimator({ limitsTokens: opened.limitsTokens, onError: onLaneError });
    await estimator.prepare();
    const gate = createLaneGate({
      upstreams: opened.upstreams,
      isRunning: (batchId) => results.isRunning(batchId),
      liveShare: lane.liveShare,
      onError: onLaneError,
    });
    const { processRequest, recordFailed } = createProcessRequest({
      lane,
      targetOf: opened.targetOf,
      gate,
      tenantGate,
      takeRetry: () => opened.takeRetry(),
      estimator: () => estimator.current(),
      findFallback,
      lineUp: createLineUp({ lane, turns, weightOf: tenants.weightOf }),
      charges: createChargeCalls({ lane, prices, recorder, untilRedisTakes, metrics }),
      answers,
      costGate,
      recorder,
      isRunning: (batchId) => results.isRunning(batchId),
      deltas,
      retry,
      untilRedisTakes,
      unrecorded,
      quarantine,
      live,
      giveUp: giveUp.signal,
      onFailure: ({ code, message, detail }) =>
        logError(`${code}: ${detail ?? message}`, 'a call failed', { lane: lane.name }),
      metrics,
      tracing,
      passFailPoint,
    });
    const worker = openWorker<RequestJob>(processRequest, {
      connection,
      keys,
      name: lane.name,
      concurrency: workerConcurrency,
      mostLent: lane.embeddingsPerCall > 1 ? mostInGroups : 0,
      retry,
      finished: finishedRequestJobs,
      onError,
    });
    worker.on('failed', (job, error) => {
      // As a rule the processor has recorded a result already, and this changes nothing.
      if (job && job.finishedOn !== undefined)
        recordFailed(job.data, error.message).catch((reason: unknown) =>
          logger.error({ err: reason }, 'a result could not be recorded'),
        );
    });
    return {
      name: lane.name,
      worker,
      gate,
      async setLimits(changed: Lane): Promise<void> {
        await opened.setLimits(changed);
        await estimator.prepare();
      },
      restoreLimits: () => opened.restoreLimits(),
    };
  };

  const open = await Promise.all(lanes.lanes.map(openLane));
  onBack(connection, () => {
    for (const { restoreLimits } of open) restoreLimits().catch((error: unknown) => logError(error, 'limits'));
  });
  const handOff = handsOff(lanes)
    ? startHandOff({
        connection,
        keys,
        files: await openFiles(),
        lanes,
        recorder: results,
        prices,
        answers,
        logger,
        metrics,
        giveUp: giveUp.signal,
        passFailPoint,
      })
    : undefined;
  logger.info({ lanes: lanes.lanes.length, concurrency: workerConcurrency }, 'worker started');

  return {
    ready: () => connection.status === 'ready',
    async setLimits({ lanes: { lanes: changed }, tenants: changedTenants }) {
      await setTenants(changedTenants);
      tenantGate.wakeAll();
      for (const lane of changed) await open.find(({ name }) => name === lane.name)?.setLimits(lane);
    },
    async close() {
      for (const { gate } of open) gate.shut();
      const giveUpLater = setTimeout(() => giveUp.abort(), graceMs);
      // Only a worker with an answer to record waits for a Redis that is away.
      const giveUpWithNothing = setInterval(() => {
        if (connection.status !== 'ready' && unrecorded.size === 0) giveUp.abort();
      }, lookEveryMs);
      const workers = [...open.map(({ worker }) => worker), ...(handOff ? [handOff.worker] : [])];
      await closeWorkers(workers, connection, graceMs + letGoMs);
      clearTimeout(giveUpLater);
      await Promise.all(open.map(({ gate }) => gate.close().catch(onError)));
      tenantGate.close();
      costGate.close();
      await Promise.all([...clients.values()].map((client) => client.close()));
      await handOff?.close();
      hangUps.close();
      live.close();
      await schemas.close();
      await liveUsage.close().catch(onError);
      await laneQueues.close();
      clearInterval(giveUpWithNothing);
      await closeRedis(connection);
      if (unrecorded.size > 0) throw new Error(`${unrecorded.size} answers were not recorded: Redis did not take them`);
    },
  };
};
