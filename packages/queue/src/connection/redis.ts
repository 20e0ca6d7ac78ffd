import { parseRedisUrl, type RedisAccess, type RedisAddress } from '@promptmill/core';
import { Cluster, Redis } from 'ioredis';
import { keepClusterSteady } from './steady-cluster.ts';
import { keepServerSteady } from './steady-server.ts';
import { withoutEvents } from './without-events.ts';

/** A connection to one server, or to the servers of a cluster; both take the same commands. */
export type RedisConnection = Redis | Cluster;

export interface RedisOptions {
  /** As {@link parseRedisUrl} reads it. */
  readonly url: string;
  /**
   * What a command does while Redis is away. `fail` rejects it within 2 s: for a process whose callers wait for an
   * answer. `wait` holds it until Redis is back: for workers and collectors, which can do nothing without Redis.
   */
  readonly whileAway: 'fail' | 'wait';
  readonly onError: (error: Error) => void;
  /**
   * Once it fires, no command waits for a Redis that is away: it fails. This holds for duplicates of the connection
   * too.
   */
  readonly closing?: AbortSignal;
}

/** Leaves time within the 2 s to answer the caller. */
const commandTimeoutMs = 1500;

/**
 * An answer that takes longer breaks the connection: its other end drops bytes but keeps the socket open. This is
 * longer than any blocking read, which it would cut off otherwise.
 */
const socketTimeoutMs = 6000;

/** Short, so that all processes are back at nearly the same time. The first would take the others for dead. */
const longestReconnectDelayMs = 250;
const connectTimeoutMs = 3000;

/** A server that has become a replica refuses writes and ends blocking reads. Another server is the master by then. */
const isDemoted = (error: Error): boolean => /^(?:READONLY|UNBLOCKED) /.test(error.message);
const reconnectAndSendAgain = 2;

/** Options of each connection to a server. */
const connectionOptions = (whileAway: RedisOptions['whileAway']) => ({
  socketTimeout: socketTimeoutMs,
  connectTimeout: connectTimeoutMs,
  // By default ioredis waits as long as Redis guesses that loading will take, up to 10 s. The first guesses are far
  // off.
  maxLoadingRetryTime: longestReconnectDelayMs,
  keepAlive: 10_000,
  reconnectOnError: (error: Error) => (isDemoted(error) ? reconnectAndSendAgain : false),
  ...(whileAway === 'fail'
    ? { commandTimeout: commandTimeoutMs, maxRetriesPerRequest: 0 }
    : { maxRetriesPerRequest: null }),
});

const createRetryStrategy =
  (closing?: AbortSignal) =>
  (attempt: number): number | null =>
    closing?.aborted ? null : Math.min(attempt * 50, longestReconnectDelayMs);

const accessOptions = ({ tls, username, password }: RedisAccess) => ({
  ...(username ? { username } : {}),
  ...(password ? { password } : {}),
  ...(tls ? { tls: {} } : {}),
});

const openServer = (
  address: Exclude<RedisAddress, { kind: 'cluster' }>,
  { whileAway, closing }: RedisOptions,
): Redis => {
  const options = {
    ...connectionOptions(whileAway),
    retryStrategy: createRetryStrategy(closing),
    enableOfflineQueue: whileAway === 'wait',
    db: address.database,
  };
  if (address.kind === 'socket') return new Redis({ ...options, path: address.path });
  const common = { ...options, ...accessOptions(address) };
  if (address.kind === 'server') return new Redis({ ...common, ...address.node });
  const { sentinels, master, sentinelUsername, sentinelPassword, tls } = address;
  return new Redis({
    ...common,
    sentinels: [...sentinels],
    name: master,
    sentinelCommandTimeout: commandTimeoutMs,
    ...(sentinelUsername ? { sentinelUsername } : {}),
    ...(sentinelPassword ? { sentinelPassword } : {}),
    ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  });
};

const openCluster = (
  address: Extract<RedisAddress, { kind: 'cluster' }>,
  { whileAway, closing }: RedisOptions,
): Cluster =>
  keepClusterSteady(
    new Cluster([...address.nodes], {
      redisOptions: { ...connectionOptions(whileAway), ...accessOptions(address) },
      enableOfflineQueue: whileAway === 'wait',
      clusterRetryStrategy: createRetryStrategy(closing),
      slotsRefreshTimeout: commandTimeoutMs,
      // While slots move, two nodes may point at each other for a moment.
      retryDelayOnMoved: 20,
      ...(whileAway === 'wait' ? { maxRedirections: Infinity } : {}),
      // A certificate names a host, so the connection is made to the name, not to a resolved address.
      dnsLookup: (host, done) => done(null, host),
      // Deltas go through the node that has the slot of their batch.
      shardedSubscribers: true,
    }),
  );

/**
 * Opens a connection that reconnects by itself until it is closed, and follows the master or the slots to other
 * servers. Throws an error with the code `invalid_redis_url`.
 */
export const connectRedis = (options: RedisOptions): RedisConnection => {
  const { url, onError } = options;
  const address = parseRedisUrl(url);
  if (address.kind === 'invalid')
    throw Object.assign(new Error(`the Redis URL ${address.problem}`), { code: 'invalid_redis_url' });
  const redis =
    address.kind === 'cluster' ? openCluster(address, options) : keepServerSteady(openServer(address, options));
  redis.on('error', onError);
  redis.on('node error', onError);
  return withoutEvents(redis);
};

/** The connections to the servers that take writes; in a cluster there are several. */
export const mastersOf = (redis: RedisConnection): readonly Redis[] =>
  redis instanceof Cluster ? redis.nodes('master') : [redis];

/** Resolves once the connection can take commands. */
export const untilReady = async (redis: RedisConnection): Promise<void> => {
  if (redis.status === 'ready') return;
  await new Promise<void>((resolve) => {
    redis.once('ready', resolve);
  });
};

const takeOverMs = 1000;

/**
 * Calls `listener` whenever Redis is back, perhaps without its latest writes. In a cluster a replica takes over from a
 * lost node: there `listener` is called when no further node has been lost for 1 s.
 *
 * @returns a function that ends the calls
 */
export const onBack = (redis: RedisConnection, listener: () => void): (() => void) => {
  let timer: NodeJS.Timeout | undefined;
  const onLostNode = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (redis.status === 'ready') listener();
    }, takeOverMs);
  };
  redis.on('ready', listener);
  if (redis instanceof Cluster) redis.on('-node', onLostNode);
  const stop = (): void => {
    clearTimeout(timer);
    redis.off('ready', listener);
    redis.off('-node', onLostNode);
  };
  redis.once('end', stop);
  return stop;
};

/** Closes a connection: after the commands under way, or at once while Redis is away. */
export const closeRedis = async (redis: RedisConnection): Promise<void> => {
  if (redis instanceof Cluster) {
    // Each node answers in order, so what was sent before is answered too.
    const connected = redis.nodes().filter(({ status }) => status === 'ready');
    await Promise.all(connected.map((node) => node.ping().catch(() => undefined)));
    redis.disconnect();
  } else if (redis.status === 'ready') await redis.quit().catch(() => redis.disconnect());
  else redis.disconnect();
};
