import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Certificate } from './certificate.ts';
import { freePort } from './free-port.ts';
import { createRedisServer, type LocalRedis } from './local-redis.ts';

type Server = Awaited<ReturnType<typeof createRedisServer>>;

export interface LocalCluster extends LocalRedis {
  /** The URL over TLS, when the cluster has a certificate. */
  readonly tlsUrl: string;
  /** The masters in the order of their slots, then the replicas. */
  readonly nodes: readonly Server[];
  /** Moves the slot of a key, with all keys in it, between the first two nodes, as a resharding does. */
  moveSlotOf(key: string): Promise<void>;
}

export interface LocalClusterOptions {
  readonly masters?: number;
  /** How many replicas the last master has. That master holds the batches. Default: 0. */
  readonly replicas?: number;
  readonly redisArguments?: readonly string[];
  /** With a certificate each node also speaks TLS, on a port of its own. */
  readonly certificate?: Certificate;
}

const slots = 16_384;
/** The cluster takes a node for dead when it is silent for this long. */
const nodeTimeoutMs = 1500;

const startNode = async (redisArguments: readonly string[], certificate?: Certificate) => {
  const tlsPort = await freePort();
  const options = {
    'cluster-enabled': 'yes',
    'cluster-node-timeout': String(nodeTimeoutMs),
    'cluster-port': String(await freePort()),
    'cluster-replica-validity-factor': '0',
    'repl-diskless-sync-delay': '0',
  };
  const server = await createRedisServer([
    ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]),
    ...redisArguments,
    ...(certificate?.redisArguments(tlsPort) ?? []),
  ]);
  await server.start();
  return { ...server, tlsPort };
};

const busPortOf = async (redis: Redis): Promise<number> => Number((await redis.config('GET', 'cluster-port'))[1]);

/** Whether a node knows `count` nodes, all slots have an owner, and a replica has its master's data. */
const isWhole = async (redis: Redis, count: number): Promise<boolean> => {
  const [cluster, replication] = await Promise.all([redis.cluster('INFO'), redis.info('replication')]);
  return (
    cluster.includes('cluster_state:ok') &&
    cluster.includes(`cluster_known_nodes:${count}\r`) &&
    (!replication.includes('role:slave') || replication.includes('master_link_status:up'))
  );
};

/** Does what `redis-cli --cluster reshard` does. Source: https://redis.io/docs/latest/commands/cluster-setslot/ */
const moveSlotOf = async (nodes: readonly Server[], key: string): Promise<void> => {
  const clients = new Map(nodes.map(({ port, url }) => [port, new Redis(url, { lazyConnect: true })]));
  const [first, second] = nodes.map(({ port }) => port);
  const at = (port: number | undefined): Redis => {
    const redis = clients.get(port ?? 0);
    if (!redis) throw new Error(`the cluster has no node at ${port}`);
    return redis;
  };
  try {
    const moved = await at(first).exists(key).then(String, String);
    const owner = Number(/MOVED \d+ .*:(\d+)/.exec(moved)?.[1] ?? first);
    const heir = owner === first ? second : first;
    const slot = await at(first).cluster('KEYSLOT', key);
    const [ownerId, heirId] = [await at(owner).cluster('MYID'), await at(heir).cluster('MYID')];
    await at(heir).call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', ownerId);
    await at(owner).call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', heirId);
    const some = 20;
    for (;;) {
      const keys = await at(owner).cluster('GETKEYSINSLOT', slot, some);
      if (keys.length === 0) break;
      await at(owner).migrate('127.0.0.1', heir ?? 0, '', 0, 5000, 'REPLACE', 'KEYS', ...keys);
    }
    for (const port of new Set([heir, owner, first, second]))
      await at(port).call('CLUSTER', 'SETSLOT', slot, 'NODE', heirId);
  } finally {
    for (const redis of clients.values()) redis.disconnect();
  }
};

/** Starts a Redis Cluster of real servers on 127.0.0.1, each with its files in a temporary folder. */
export const startLocalCluster = async ({
  masters = 3,
  replicas = 0,
  redisArguments = [],
  certificate,
}: LocalClusterOptions = {}): Promise<LocalCluster> => {
  const count = masters + replicas;
  const nodes = await Promise.all(Array.from({ length: count }, () => startNode(redisArguments, certificate)));
  const clients = nodes.map(({ url }) => new Redis(url));
  try {
    const [first] = clients;
    if (!first) throw new Error('a cluster needs a node');
    await Promise.all(
      clients.slice(0, masters).map(async (redis, index) => {
        const from = Math.ceil((index * slots) / masters);
        await redis.cluster('SET-CONFIG-EPOCH', index + 1);
        await redis.call('CLUSTER', 'ADDSLOTSRANGE', from, Math.ceil(((index + 1) * slots) / masters) - 1);
      }),
    );
    for (const [index, redis] of clients.entries())
      if (index > 0) await first.call('CLUSTER', 'MEET', '127.0.0.1', nodes[index]?.port ?? 0, await busPortOf(redis));
    const masterId = String(await clients[masters - 1]?.cluster('MYID'));
    const untilAll = async (condition: (redis: Redis) => Promise<boolean>): Promise<void> => {
      for (const redis of clients) while (!(await condition(redis))) await delay(20);
    };
    await untilAll(async (redis) => String(await redis.cluster('NODES')).includes(masterId));
    for (const redis of clients.slice(masters)) await redis.cluster('REPLICATE', masterId);
    await untilAll((redis) => isWhole(redis, count));
  } finally {
    for (const redis of clients) redis.disconnect();
  }
  return {
    url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    tlsUrl: `rediss+cluster://${nodes.map(({ tlsPort }) => `127.0.0.1:${tlsPort}`).join(',')}`,
    nodes,
    moveSlotOf: (key) => moveSlotOf(nodes, key),
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
};
