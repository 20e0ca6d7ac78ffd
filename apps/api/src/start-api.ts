import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTenants, defaultLiveShare, type OperatorWebhook, type TenantsConfig } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import {
  connectRedis,
  createApiKeysVersion,
  createBatchStore,
  createClaims,
  createDeliveries,
  createDeltaSubscriber,
  createDueIndex,
  createFileRecords,
  createKeptCalls,
  createKeys,
  createLaneTurns,
  createTenantIndex,
  createTenantPlaces,
  createUploadRecords,
  createUsageRecords,
  createWebhookRecords,
  openBatchesQueue,
  openLaneQueues,
  openShardsQueue,
  openWebhooksQueue,
  untilReady,
} from '@promptmill/queue';
import {
  createErrorLog,
  createLifecycle,
  type Logger,
  type Metrics,
  noFailPoints,
  noTracing,
  type PassFailPoint,
  type Tracing,
} from '@promptmill/runtime';
import { createLogins } from './access/logins.ts';
import { createPresentTenants } from './access/present-tenants.ts';
import { readKeys } from './access/read-keys.ts';
import { watchKeys } from './access/watch-keys.ts';
import { createApp } from './app.ts';
import { createBatchTurns } from './batches/batch-turns.ts';
import type { Creation } from './batches/creation.ts';
import { createBoard } from './bull-board.ts';
import type { ApiConfig } from './api-config.ts';
import type { ApiDependencies } from './dependencies.ts';
import { startDispatch } from './dispatch/start-dispatch.ts';
import { createReceiveInput } from './files/receive-input.ts';
import { createReadParquetApart } from './conversions/read-parquet-apart.ts';
import { createRemoveFile } from './files/remove-file.ts';
import { startHttpServer } from './http-server.ts';
import { createJournal } from './journal/journal.ts';
import { createJournalledFileRecords } from './journal/journalled-file-records.ts';
import { createReplayedBatches } from './journal/replayed-batches.ts';
import { createReplayJournal, keepReplaying } from './journal/replay-journal.ts';
import { createKeptCallers } from './live/kept-callers.ts';
import { createCountLiveCalls } from './live/count-live-calls.ts';
import { createLaneWatch } from './live/lane-watch.ts';
import { createLiveCalls } from './live/live-calls.ts';
import { createLivePlaces } from './live/live-places.ts';
import { createCheckPrices } from './spending/check-prices.ts';
import { createMeasuring } from './spending/measuring.ts';
import { startSweep } from './sweep/start-sweep.ts';
import { createUploadPlaces } from './tenants/upload-places.ts';
import { createOperatorWebhooks } from './webhooks/operator-webhooks.ts';
import { startDeliveries } from './webhooks/start-deliveries.ts';
import type { ResolveHost } from './webhooks/resolve-host.ts';

export interface StartApiOptions {
  readonly config: ApiConfig;
  readonly files: FileStore;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Default: nothing is traced. */
  readonly tracing?: Tracing;
  /** Default: there are no fail points. */
  readonly passFailPoint?: PassFailPoint;
  /** A connection without a byte is cut after this time, in milliseconds. Default 10 minutes. */
  readonly idleTimeoutMs?: number | undefined;
  /** Finds the addresses of webhooks' hosts. Default: DNS. */
  readonly resolveHost?: ResolveHost | undefined;
}

export interface RunningApi {
  readonly url: string;
  /** Whether there are no API keys, so that anyone who reaches the api may use it. */
  isKeyless(): boolean;
  /** Applies changed limits of tenants from the next request on. */
  setTenants(tenants: TenantsConfig): void;
  /** Replaces the operator's webhooks. */
  setWebhooks(webhooks: readonly OperatorWebhook[]): void;
  /**
   * Takes no more requests, ends event streams, gives the rest the configured `graceMs` to end, and closes its
   * connections to Redis.
   */
  close(): Promise<void>;
}

const redisHeadStartMs = 1000;
/** Time after the grace in which dispatch and deliveries give their jobs back to the queue. */
const letGoMs = 5000;

/**
 * Serves the HTTP API and Bull Board, and dispatches batches. It listens even while Redis is away: then it answers 503
 * until Redis is back. Throws ConfigError when anyone could use the api, and the system's error when it cannot listen.
 */
export const startApi = async ({
  config,
  files,
  logger,
  metrics,
  tracing = noTracing,
  passFailPoint = noFailPoints,
  idleTimeoutMs,
  resolveHost,
}: StartApiOptions): Promise<RunningApi> => {
  const { redisUrl, redisPrefix, limits, host, apiPort, graceMs } = config;
  const logError = createErrorLog(logger);
  const onError = (error: Error): void => logError(error, 'redis');
  const redis = connectRedis({ url: redisUrl, whileAway: 'fail', onError });
  const keys = createKeys(redisPrefix);
  const apiKeysVersion = createApiKeysVersion(redis, keys);
  // When the port is open, Redis should usually be ready too.
  await Promise.race([untilReady(redis), sleep(redisHeadStartMs, undefined, { ref: false })]);
  const keyReader = await readKeys({ config, files, version: apiKeysVersion, logger }).catch((error: unknown) => {
    redis.disconnect();
    throw error;
  });
  const batchesQueue = openBatchesQueue(redis, keys);
  batchesQueue.on('error', (error) => logger.debug({ err: error }, 'batches queue'));
  const webhooksQueue = openWebhooksQueue(redis, keys);
  webhooksQueue.on('error', (error) => logger.debug({ err: error }, 'webhooks queue'));
  const shardsQueue = openShardsQueue(redis, keys);
  shardsQueue.on('error', (error) => logger.debug({ err: error }, 'shards queue'));
  const deltas = createDeltaSubscriber(() => connectRedis({ url: redisUrl, whileAway: 'wait', onError }), keys);
  const stopping = new AbortController();
  const journal = createJournal(files, logger);
  const claims = createClaims<Creation>(redis, keys, 'batch');
  const records = createFileRecords(redis, keys);
  const batches = createBatchStore(redis, keys);
  const due = createDueIndex(redis, keys);
  const tenants = createTenants(config.tenants);
  const places = createTenantPlaces(redis, keys);
  const present = createPresentTenants(() => performance.now());
  const uploads = createUploadRecords(redis, keys);
  const uploadPlaces = createUploadPlaces({ places, limitsOf: tenants.limitsOf });
  const api = randomUUID();
  const laneQueues = openLaneQueues(redis, keys, (error) => logger.debug({ err: error }, 'lane queue'));
  const liveShares = new Map(config.lanes.lanes.map(({ name, liveShare }) => [name, liveShare]));
  const live = createLiveCalls({
    api,
    redis,
    blocking: connectRedis({ url: redisUrl, whileAway: 'wait', onError, closing: stopping.signal }),
    keys,
    queueOf: laneQueues.of,
    turns: createLaneTurns(redis, keys),
    tenants,
    shareOf: (lane) => liveShares.get(lane) ?? defaultLiveShare,
    laneOf: (model) => config.lanes.route(model)?.lane.name,
    retry: config.retry,
    onError: (error) => logError(error, 'live calls'),
  });
  const keepAnswersSeconds = config.keepAnswersHours * 3600;
  const kept = createKeptCallers({
    redis,
    live,
    calls: createKeptCalls(redis, keys),
    claims: createClaims<string>(redis, keys, 'live', keepAnswersSeconds),
    files,
    queueOf: laneQueues.of,
    limitsOf: tenants.limitsOf,
    keepMs: keepAnswersSeconds * 1000,
    onError: (error) => logError(error, 'kept calls'),
  });
  const livePlaces = createLivePlaces({ api, places, limitsOf: tenants.limitsOf });
  const countLiveCalls = createCountLiveCalls({ redis, keys, live });
  const laneWatch = createLaneWatch({ redis, keys, lanes: config.lanes, live, now: Date.now });
  const replay = createReplayJournal({ files, records, uploads, batches, batchesQueue, claims, logger, now: Date.now });
  const replaying = keepReplaying(redis, replay, logger);
  const { replayed } = replaying;
  const dependencies: ApiDependencies = {
    config,
    isKeyless: () => keyReader.ring.anyone() !== undefined,
    logins: createLogins({ now: Date.now }),
    ring: keyReader.ring,
    redis,
    keys,
    files,
    records: createJournalledFileRecords(records, journal, replayed),
    uploads,
    batches: createReplayedBatches(batches, replayed),
    due,
    tenantIndex: createTenantIndex(redis, keys),
    usage: createUsageRecords(redis, keys),
    measuring: createMeasuring(),
    checkPrices: createCheckPrices({ lanes: config.lanes, limitsOf: tenants.limitsOf, now: Date.now }),
    journal,
    replayed,
    claims,
    deltas,
    batchesQueue,
    webhooks: createWebhookRecords(redis, keys),
    deliveries: createDeliveries(redis, keys),
    webhooksQueue,
    shardsQueue,
    places,
    uploadPlaces,
    live,
    kept,
    livePlaces,
    countLiveCalls,
    laneWatch,
    tenants,
    receiveInput: createReceiveInput({
      files,
      due,
      places: uploadPlaces,
      limits,
      present,
      now: Date.now,
    }),
    present,
    batchTurns: createBatchTurns({
      hasOthers: (tenant) => present.hasOthers(tenant),
      sleep: (ms) => sleep(ms, undefined, { signal: stopping.signal }).catch(() => {}),
    }),
    readParquetApart: createReadParquetApart(),
    removeFile: createRemoveFile({ batches, records, due, files, now: Date.now }),
    logger,
    metrics,
    tracing,
    now: Date.now,
    passFailPoint,
    stopping: stopping.signal,
  };
  const board = createBoard(dependencies);
  const server = await startHttpServer(createApp(dependencies, board.router), {
    host,
    port: apiPort,
    graceMs,
    idleTimeoutMs,
  }).catch(async (error: unknown) => {
    livePlaces.close();
    laneWatch.close();
    await kept.close();
    await Promise.all([
      board.close(),
      replaying.close(),
      batchesQueue.close(),
      webhooksQueue.close(),
      shardsQueue.close(),
      countLiveCalls.close(),
      live.close(),
      laneQueues.close(),
    ]);
    redis.disconnect();
    throw error;
  });
  const watchingKeys = watchKeys(redis, apiKeysVersion, keyReader);
  const sweep = startSweep({ ...dependencies, lanes: config.lanes });
  const operatorWebhooks = createOperatorWebhooks(config.webhooks, logger);
  const telling = { operatorWebhooks: operatorWebhooks.inForce, logger, metrics, passFailPoint };
  const dispatch = await startDispatch({ ...telling, tracing, config, tenants, files, replayed });
  const deliveries = startDeliveries({ ...telling, config, resolveHost });
  logger.info({ url: server.url, tenants: keyReader.ring.activeKeys().size }, 'api started');

  const life = createLifecycle(logger);
  life.add('sweep', () => sweep.close());
  life.add('keys', () => watchingKeys.close());
  life.add('journal', () => replaying.close());
  life.add('event streams', () => stopping.abort());
  // Dispatch waits for Redis, which may stay away. Another process goes on with the batches it leaves.
  const stopDispatch = () => Promise.race([dispatch.close(), sleep(graceMs + letGoMs, undefined, { ref: false })]);
  const stopDeliveries = () => Promise.race([deliveries.close(), sleep(graceMs + letGoMs, undefined, { ref: false })]);
  life.add('server, dispatch and webhooks', async () => {
    await Promise.all([server.close(), stopDispatch(), stopDeliveries()]);
  });
  life.add('live calls', async () => {
    livePlaces.close();
    laneWatch.close();
    await kept.close();
    await countLiveCalls.close();
    await live.close();
    await laneQueues.close();
  });
  life.add('measuring', () => dependencies.measuring.close());
  life.add('deltas', () => deltas.close());
  life.add('board', () => board.close());
  life.add('batches queue', () => batchesQueue.close());
  life.add('webhooks queue', () => webhooksQueue.close());
  life.add('shards queue', () => shardsQueue.close());
  life.add('redis', () => redis.disconnect());
  return {
    url: server.url,
    isKeyless: dependencies.isKeyless,
    setTenants: (changed) => tenants.replace(changed),
    setWebhooks: operatorWebhooks.replace,
    close: () => life.close(),
  };
};
