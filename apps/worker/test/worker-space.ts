import {
  buildLanes,
  buildProviders,
  fileConfig,
  newLiveCallId,
  type RequestJob,
  type TenantsConfig,
} from '@promptmill/core';
import { createBatchStore, createLaneTurns, createResultRecorder, openLaneQueue, toLaneJob } from '@promptmill/queue';
import { createLogger, createMetrics } from '@promptmill/runtime';
import { createdAt, newBatch } from '../../../packages/queue/test/new-batch.ts';
import { openRedisSpace } from '../../../packages/queue/test/redis-space.ts';
import { startTestProvider } from '../../../tests/support/test-provider.ts';
import { type RunningWorker, startWorker } from '../src/index.ts';

export interface WorkerSpaceOptions {
  /** More of the configuration of the provider `first`. */
  readonly first?: object;
  readonly retry?: { readonly attempts: number; readonly baseDelayMs: number; readonly maxDelayMs: number };
  readonly graceMs?: number;
  /** Calls in flight. Default 10. */
  readonly concurrency?: number;
  readonly tenants?: TenantsConfig;
}

export interface RequestOptions {
  /** Default: the batch that the space opens with. */
  readonly batchId?: string;
  readonly prompt?: string;
  /** Its turn in the lane. Default: its index. */
  readonly position?: number;
  /** More of the job. */
  readonly more?: Partial<RequestJob>;
}

/** A worker with the lanes `first` and `second`, each with a provider of its own, and a batch in progress. */
export const openWorkerSpace = async (options: WorkerSpaceOptions = {}) => {
  const { retry = { attempts: 2, baseDelayMs: 1, maxDelayMs: 2 }, graceMs = 5000 } = options;
  const { concurrency = 10, tenants: tenantsConfig = {} } = options;
  const space = openRedisSpace();
  const providers = { first: await startTestProvider(), second: await startTestProvider() };
  const lanesWith = (first: object = {}) => {
    const config = fileConfig.parse({
      providers: {
        first: { baseUrl: providers.first.baseUrl, ...first },
        second: { baseUrl: providers.second.baseUrl },
      },
    });
    return buildLanes(buildProviders(config, { FIRST_API_KEY: 'sk-of-the-first' }));
  };
  const lanes = lanesWith(options.first);
  const batches = createBatchStore(space.redis, space.keys);
  const total = 100;
  const tenants = new Map<string, string>();
  const addBatch = async (tenant?: string): Promise<string> => {
    const batch = newBatch(tenant === undefined ? {} : { tenant });
    tenants.set(batch.id, batch.tenant);
    await batches.create(batch);
    await batches.transition(batch.id, 'in_progress', createdAt * 1000, { total });
    const cursor = { dispatched: total, cursorOffset: total, cursorLine: total, positions: {} };
    await batches.advanceCursor(batch.id, 0, cursor);
    return batch.id;
  };
  const batchId = await addBatch();

  let worker: RunningWorker | undefined;
  const stopWorker = async (): Promise<void> => {
    await worker?.close();
    worker = undefined;
  };
  return {
    ...space,
    ...providers,
    batches,
    batchId,
    /** Adds another batch in progress, of 100 requests; gives its id. */
    addBatch,
    recorder: createResultRecorder(space.redis, space.keys),
    startWorker: async (): Promise<void> => {
      worker = await startWorker({
        config: {
          redisUrl: space.url,
          redisPrefix: space.prefix,
          lanes,
          tenants: tenantsConfig,
          workerConcurrency: concurrency,
          retry,
          graceMs,
        },
        openFiles: () => Promise.reject(new Error('no provider has a batch API')),
        logger: createLogger({ level: 'silent', role: 'worker' }),
        metrics: createMetrics('worker'),
      });
    },
    stopWorker,
    setTenants: async (changed: TenantsConfig): Promise<void> => worker?.setLimits({ lanes, tenants: changed }),
    /** Changes the configuration of the provider `first` while the worker runs. */
    setFirst: async (first: object): Promise<void> =>
      worker?.setLimits({ lanes: lanesWith(first), tenants: tenantsConfig }),
    /** Adds the job of a request to a lane; gives its id. */
    add: async (
      lane: 'first' | 'first.flex' | 'second',
      index: number,
      request: RequestOptions = {},
    ): Promise<string> => {
      const { batchId: owner = batchId, prompt = 'Hi', position = index, more } = request;
      const queue = space.keep(openLaneQueue(space.redis, space.keys, lane));
      const job: RequestJob = {
        tenant: tenants.get(owner) ?? '',
        batchId: owner,
        index,
        customId: `r${index}`,
        url: '/v1/chat/completions',
        body: { model: 'm', messages: [{ role: 'user', content: prompt }] },
        bytes: 1,
        ...more,
      };
      await queue.addBulk([toLaneJob(job, position, retry)]);
      return `${owner}-${index}`;
    },
    /** Adds a live call to the lane `first`, whose caller waits for a minute. */
    addLive: async (tenant: string, prompt = 'Live'): Promise<void> => {
      const queue = space.keep(openLaneQueue(space.redis, space.keys, 'first'));
      await space.redis.set(space.keys.liveApi('api'), 1, 'EX', 60);
      const turns = createLaneTurns(space.redis, space.keys);
      const [position = 0] = await turns.takeLive('first', { tenant, share: 0.9 }, 1);
      const callId = newLiveCallId();
      const job: RequestJob = {
        tenant,
        batchId: callId,
        index: 0,
        customId: callId,
        url: '/v1/chat/completions',
        body: { model: 'm', messages: [{ role: 'user', content: prompt }] },
        bytes: 1,
        live: { api: 'api', deadlineMs: Date.now() + 60_000, isKept: false },
      };
      await queue.addBulk([toLaneJob(job, position, retry)]);
    },
    close: async (): Promise<void> => {
      await stopWorker();
      await Promise.all([providers.first.close(), providers.second.close()]);
      await space.close();
    },
  };
};

export type WorkerSpace = Awaited<ReturnType<typeof openWorkerSpace>>;
