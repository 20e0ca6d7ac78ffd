import { Redis } from 'ioredis';
import { startDurableRedis } from '../support/local-redis.ts';
import { type RoleProcess, startStack } from '../support/stack.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import type { Fleet, Target } from './plan-faults.ts';

export interface ClusterOptions {
  readonly fleet: Fleet;
  /** Calls in flight of each worker. */
  readonly concurrency: number;
  readonly latencyMs: number;
  /** Calls in flight of all workers together; undefined lets the answers decide. */
  readonly laneConcurrency: number | undefined;
}

const nameOf = ({ role, index }: Target): string => `${role} ${index}`;

/** Retries come soon enough to be seen. */
const configOf = (laneConcurrency: number | undefined): string =>
  [
    'retry: { attempts: 6, baseDelayMs: 500, maxDelayMs: 5000 }',
    ...(laneConcurrency === undefined ? [] : [`providers: { simulator: { concurrency: ${laneConcurrency} } }`]),
  ].join('\n');

/** Starts several processes of each role and a durable Redis, which each of them reaches through a proxy of its own. */
export const startCluster = async ({ fleet, concurrency, latencyMs, laneConcurrency }: ClusterOptions) => {
  const redis = await startDurableRedis();
  const proxies = new Map<string, { readonly proxy: TcpProxy; cut: boolean }>();
  for (const role of ['api', 'worker', 'collector'] as const)
    for (let index = 0; index < fleet[role]; index++)
      proxies.set(nameOf({ role, index }), { proxy: await startTcpProxy(redis.url), cut: false });
  const proxyOf = (target: Target) => {
    const found = proxies.get(nameOf(target));
    if (!found) throw new Error(`there is no ${nameOf(target)}`);
    return found;
  };

  const stack = await startStack({
    redisUrl: redis.url,
    redisUrlOf: (role, index) => (role === 'simulator' ? redis.url : proxyOf({ role, index }).proxy.url),
    apis: fleet.api,
    workers: fleet.worker,
    collectors: fleet.collector,
    env: { WORKER_CONCURRENCY: String(concurrency), SIMULATOR_LATENCY_MS: String(latencyMs) },
    files: { 'promptmill.yaml': configOf(laneConcurrency) },
  });
  // It connects without a proxy, and so sees Redis through every fault of the network.
  const admin = new Redis(redis.url, {
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    retryStrategy: () => 50,
    maxLoadingRetryTime: 50,
  });
  admin.on('error', () => {});
  await new Promise((resolve) => {
    admin.once('ready', resolve);
  });

  const running = new Map<string, RoleProcess>();
  for (const [role, list] of Object.entries({ api: stack.apis, worker: stack.workers, collector: stack.collectors }))
    for (const [index, started] of list.entries())
      running.set(nameOf({ role: role as Target['role'], index }), started);
  const processOf = (target: Target): RoleProcess => {
    const found = running.get(nameOf(target));
    if (!found) throw new Error(`there is no ${nameOf(target)}`);
    return found;
  };

  let delayMs: number | undefined;
  const setProxies = (): void => {
    for (const { proxy, cut } of proxies.values())
      proxy.set(cut ? 'drop' : delayMs === undefined ? 'pass' : { delayMs });
  };

  return {
    ...stack,
    redis,
    admin,
    processOf,
    apiUrls: stack.apis.map(({ url }) => url),
    /** Starts a process that has ended again, under its address. `more` adds variables to its environment. */
    async startAgain(target: Target, more: Readonly<Record<string, string>> = {}): Promise<void> {
      const { environment } = stack[`${target.role}s`][target.index] ?? processOf(target);
      running.set(nameOf(target), await stack.start(target.role, { ...environment, ...more }));
    },
    /** Loses every byte between a process and Redis, or lets them through again. */
    setCut(target: Target, cut: boolean): void {
      proxyOf(target).cut = cut;
      setProxies();
    },
    /** Delays each byte between the processes and Redis. Undefined: no delay. */
    setDelay(ms: number | undefined): void {
      delayMs = ms;
      setProxies();
    },
    /** Ends all processes. `keep` leaves the data folder and the folder of Redis on the disk. */
    async stop({ keep }: { keep: boolean }): Promise<void> {
      await stack.stop({ keep });
      admin.disconnect();
      for (const { proxy } of proxies.values()) await proxy.close();
      if (keep) await redis.kill();
      else await redis.stop();
    },
  };
};

export type Cluster = Awaited<ReturnType<typeof startCluster>>;
