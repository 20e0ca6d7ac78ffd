import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';

/** What can be seen of a lane. */
export interface LaneState {
  /** Jobs in work, including those that wait until the lane lets them in. */
  readonly inFlight: number;
  /** Those of them that are live calls. */
  readonly liveInFlight: number;
  /** Jobs that may be in work, all workers together; undefined before a worker has set the limits. */
  readonly allowed?: number;
  /** Jobs that wait for a worker or for their next attempt. */
  readonly waiting: number;
  /** Unix milliseconds; undefined while the lane is open. */
  readonly heldUntilMs?: number;
  /** When the first hold since a success began, in Unix milliseconds. Absent when `heldUntilMs` is. */
  readonly heldSinceMs?: number;
  /** Why the lane is held, or why it was held last if its provider has not answered since: code and HTTP status. */
  readonly reason?: string;
}

/** The ids of a batch's jobs that are in work in these lanes. Only these may have a call in flight. */
export const readJobsInWork = async (
  redis: RedisConnection,
  keys: Keys,
  batchId: string,
  lanes: readonly string[],
): Promise<string[]> => {
  const active = await Promise.all(lanes.map((lane) => redis.lrange(keys.laneJobs(lane, 'active'), 0, -1)));
  return active.flat().filter((jobId) => jobId.startsWith(`${batchId}-`));
};

export interface LaneHoldState {
  /** Unix milliseconds. */
  readonly untilMs: number;
  /** Code and HTTP status of the answer that began it. */
  readonly reason: string;
  /** Whether the provider takes no call until someone acts. */
  readonly isStopped: boolean;
}

/**
 * How a lane is held, or was held last; undefined when it is open.
 *
 * @param upstreams its deployments, or the lane itself: it is held when all of them are. The hold that ends first is given,
 *   one that ends by itself before any other
 */
export const readLaneHold = async (
  redis: RedisConnection,
  keys: Keys,
  upstreams: readonly string[],
): Promise<LaneHoldState | undefined> => {
  const holds = await Promise.all(
    upstreams.map(async (upstream) => {
      const [heldUntil, heldFor, reason] = await redis.hmget(
        keys.laneState(upstream),
        'heldUntil',
        'heldFor',
        'reason',
      );
      const isStopped = heldFor === 'stopped' || heldFor === 'refused';
      return { untilMs: Number(heldUntil ?? 0), reason: reason ?? '', isStopped };
    }),
  );
  const [first] = holds.toSorted((a, b) => Number(a.isStopped) - Number(b.isStopped) || a.untilMs - b.untilMs);
  return holds.every(({ untilMs }) => untilMs > 0) ? first : undefined;
};

/** The calls of a deployment that are in flight, and how many may be. */
export const readDeploymentCalls = async (
  redis: RedisConnection,
  keys: Keys,
  deployment: string,
  nowMs: number,
): Promise<{ readonly inFlight: number; readonly allowed: number | undefined }> => {
  const [calls, allowed] = await Promise.all([
    redis.hvals(keys.deploymentCalls(deployment)),
    redis.hget(keys.deploymentMeta(deployment), 'concurrency'),
  ]);
  const inFlight = calls
    .map((each) => each.split(' ').map(Number))
    .reduce((sum, [count = 0, untilMs = 0]) => (untilMs > nowMs ? sum + count : sum), 0);
  return { inFlight, allowed: allowed === null ? undefined : Number(allowed) };
};

interface UpstreamHold {
  readonly heldUntilMs?: number;
  readonly heldSinceMs?: number;
  readonly reason?: string;
}

/** How a lane or a deployment is held. Its reason stays until its provider has answered. */
export const readUpstreamHold = async (
  redis: RedisConnection,
  keys: Keys,
  upstream: string,
  nowMs: number,
): Promise<UpstreamHold> => {
  const state = await redis.hmget(keys.laneState(upstream), 'heldUntil', 'reason', 'heldSince');
  const [heldUntil, reason, heldSince] = state;
  const isHeld = Number(heldUntil) > nowMs;
  return {
    ...(isHeld ? { heldUntilMs: Number(heldUntil) } : {}),
    ...(isHeld && heldSince ? { heldSinceMs: Number(heldSince) } : {}),
    ...(reason ? { reason } : {}),
  };
};

/** A lane is held while all of its upstreams are: until the first opens, and since the last was held. */
const holdOfAll = (holds: readonly UpstreamHold[]): UpstreamHold => {
  const [first, ...others] = holds.toSorted((a, b) => (a.heldUntilMs ?? 0) - (b.heldUntilMs ?? 0));
  if (!first || others.length === 0) return first ?? {};
  if (first.heldUntilMs === undefined) return {};
  return { ...first, heldSinceMs: Math.max(...holds.map(({ heldSinceMs = 0 }) => heldSinceMs)) };
};

/** @param upstreams the lane's deployments, or the lane itself */
export const readLaneState = async (
  redis: RedisConnection,
  keys: Keys,
  lane: string,
  upstreams: readonly string[],
  nowMs: number,
): Promise<LaneState> => {
  const [active, allowed, waiting, prioritized, delayed, holds] = await Promise.all([
    redis.lrange(keys.laneJobs(lane, 'active'), 0, -1),
    redis.hget(keys.laneJobs(lane, 'meta'), 'concurrency'),
    redis.llen(keys.laneJobs(lane, 'wait')),
    redis.zcard(keys.laneJobs(lane, 'prioritized')),
    redis.zcard(keys.laneJobs(lane, 'delayed')),
    Promise.all(upstreams.map((upstream) => readUpstreamHold(redis, keys, upstream, nowMs))),
  ]);
  return {
    inFlight: active.length,
    liveInFlight: active.filter((jobId) => !jobId.startsWith('batch_')).length,
    ...(allowed === null ? {} : { allowed: Number(allowed) }),
    waiting: waiting + prioritized + delayed,
    ...holdOfAll(holds),
  };
};

/** A failure that told something of the lane's provider. */
export interface LaneError {
  /** Its code and HTTP status. */
  readonly reason: string;
  /** When a call last failed so, in Unix milliseconds. */
  readonly atMs: number;
}

const shownErrors = 5;

/** How calls of a lane or a deployment failed in the last day, each way once, the latest first. */
export const readLaneErrors = async (redis: RedisConnection, keys: Keys, upstream: string): Promise<LaneError[]> => {
  const found = await redis.zrevrange(keys.laneErrors(upstream), 0, shownErrors - 1, 'WITHSCORES');
  return found.flatMap((reason, i) => (i % 2 === 0 ? [{ reason, atMs: Number(found[i + 1]) }] : []));
};

/**
 * What the calls admitted in the last minute used, or are guessed to use. Calls of a lane that does not limit tokens are
 * not counted.
 */
export const readTokensThisMinute = async (
  redis: RedisConnection,
  keys: Keys,
  lane: string,
  nowMs: number,
): Promise<number> => {
  const ledger = await redis.hgetall(keys.laneLedger(lane));
  // A lane drops what has left its window only with its next call.
  const oldest = Math.floor((nowMs - 60_000) / Number(ledger['tokens:slotMs']));
  return Object.entries(ledger).reduce((sum, [field, tokens]) => {
    const [, slot] = /^tokens:(\d+)$/.exec(field) ?? [];
    return slot !== undefined && Number(slot) >= oldest ? sum + Number(tokens) : sum;
  }, 0);
};

/** Whether the lane has any job, ended ones that are kept among them. */
export const hasJobs = async (redis: RedisConnection, keys: Keys, lane: string): Promise<boolean> => {
  const states = ['active', 'wait', 'prioritized', 'delayed', 'completed', 'failed'] as const;
  return (await redis.exists(...states.map((state) => keys.laneJobs(lane, state)))) > 0;
};
