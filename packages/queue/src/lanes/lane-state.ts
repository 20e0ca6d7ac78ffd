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

/** How the lane is held, or was held last; undefined when it is open. */
export const readLaneHold = async (
  redis: RedisConnection,
  keys: Keys,
  lane: string,
): Promise<LaneHoldState | undefined> => {
  const [heldUntil, heldFor, reason] = await redis.hmget(keys.laneState(lane), 'heldUntil', 'heldFor', 'reason');
  if (!heldUntil) return undefined;
  const isStopped = heldFor === 'stopped' || heldFor === 'refused';
  return { untilMs: Number(heldUntil), reason: reason ?? '', isStopped };
};

export const readLaneState = async (
  redis: RedisConnection,
  keys: Keys,
  lane: string,
  nowMs: number,
): Promise<LaneState> => {
  const [active, allowed, waiting, prioritized, delayed, state] = await Promise.all([
    redis.lrange(keys.laneJobs(lane, 'active'), 0, -1),
    redis.hget(keys.laneJobs(lane, 'meta'), 'concurrency'),
    redis.llen(keys.laneJobs(lane, 'wait')),
    redis.zcard(keys.laneJobs(lane, 'prioritized')),
    redis.zcard(keys.laneJobs(lane, 'delayed')),
    redis.hmget(keys.laneState(lane), 'heldUntil', 'reason', 'heldSince'),
  ]);
  const [heldUntil, reason, heldSince] = state;
  return {
    inFlight: active.length,
    liveInFlight: active.filter((jobId) => !jobId.startsWith('batch_')).length,
    ...(allowed === null ? {} : { allowed: Number(allowed) }),
    waiting: waiting + prioritized + delayed,
    ...(Number(heldUntil) > nowMs ? { heldUntilMs: Number(heldUntil) } : {}),
    ...(Number(heldUntil) > nowMs && heldSince ? { heldSinceMs: Number(heldSince) } : {}),
    ...(reason ? { reason } : {}),
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

/** How calls of the lane failed in the last day, each way once, the latest first. */
export const readLaneErrors = async (redis: RedisConnection, keys: Keys, lane: string): Promise<LaneError[]> => {
  const found = await redis.zrevrange(keys.laneErrors(lane), 0, shownErrors - 1, 'WITHSCORES');
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
