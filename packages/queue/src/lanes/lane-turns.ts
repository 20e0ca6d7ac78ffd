import { type Lane, type RequestJob, type RetryPolicy, jobIdOf, sourceOf } from '@promptmill/core';
import type { BulkJobOptions } from 'bullmq';
import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';

/**
 * Fair queueing in a lane. Every request has a position; BullMQ's priority orders jobs by it. A tenant's requests stand
 * in one line from the lane's present turn on (take-turns.lua), so a tenant with many batches gets no more than one with
 * one. Source: start-time fair queueing, https://dl.acm.org/doi/10.1145/248156.248171; that a batch which comes to the
 * line goes ahead of it is from https://www.rfc-editor.org/rfc/rfc8290 (new flows before old ones).
 */
const requestsPerTurn = 10;

/** The highest number that BullMQ knows. Jobs beyond it wait in order of arrival until the lane is idle. */
const lastPriority = 2 ** 21 - 1;

/** In a turn, live calls go before batch requests. */
const firstPriority = { live: 1, batch: 2 } as const;

/** BullMQ's priority of a request's job at a position of its lane. */
export const priorityOf = ({ live }: Pick<RequestJob, 'live'>, position: number): number =>
  Math.min(lastPriority, (live ? firstPriority.live : firstPriority.batch) + Math.floor(position / requestsPerTurn));

/**
 * Bull Board shows finished jobs: those of a batch's first requests and a sample of the others. Redis spends a fifth
 * less on a job that it does not keep.
 */
const keptJobs = 1000;
/** Kept jobs must not fill Redis: with lines of the largest size they would take 16 GiB in each lane. */
const keptJobBytes = 16 * 1024;
const isSample = (index: number): boolean => index < 100 || index % 100 === 0;
/** What a lane's worker does with finished jobs that do not say otherwise. */
export const finishedRequestJobs = { removeOnComplete: { count: 0 }, removeOnFail: { count: keptJobs } };

/** One of four live calls. */
const isLiveSample = (callId: string): boolean => /[0-3]$/.test(callId);

const whenFinished = ({ batchId, index, bytes, live }: RequestJob): BulkJobOptions => {
  if (bytes > keptJobBytes) return { removeOnFail: true };
  return (live ? isLiveSample(batchId) : isSample(index)) ? { removeOnComplete: { count: keptJobs } } : {};
};

/** A live call is tried until its deadline. */
const untilDeadline = 1_000_000;

/** What Bull Board shows as the name of a request's job. It begins with the request's source, for scripts (refusals.lua). */
const jobName = (request: RequestJob): string =>
  request.live ? `${sourceOf(request)} ${request.url.slice('/v1/'.length)}` : sourceOf(request);

export const toLaneJob = (request: RequestJob, position: number, retry: RetryPolicy) => ({
  name: jobName(request),
  data: request,
  opts: {
    jobId: jobIdOf(request.batchId, request.index),
    priority: priorityOf(request, position),
    attempts: request.live ? untilDeadline : retry.attempts,
    backoff: { type: 'full-jitter' },
    ...whenFinished(request),
  } satisfies BulkJobOptions,
});

/** Whose requests come to a lane. */
export interface LaneUser {
  readonly tenant: string;
  /** The tenant's share of a lane, as a multiple of another's. Default 1. */
  readonly weight?: number;
  readonly batchId: string;
  /** Whether the batch's first requests may go ahead, if it has none in the lane. */
  readonly isNew: boolean;
}

/** Whose live calls come to a lane. */
export interface LiveLaneUser extends Pick<LaneUser, 'tenant' | 'weight'> {
  /** What live calls may take of the lane while batch requests wait in it, between 0 and 1. */
  readonly share: number;
}

export interface Turns {
  /** The position of each request, in order. */
  readonly positions: readonly number[];
  /** How many batches of the tenant have requests in the lane. */
  readonly batches: number;
  /** Whether the batch's requests are ahead of others of its tenant that came before it. */
  readonly isAhead: boolean;
}

const takeTurns = defineScript<
  [
    turn: string,
    line: string,
    batchesBehind: string,
    batchesAhead: string,
    prioritized: string,
    waiting: string,
    active: string,
    delayed: string,
    lines: string,
  ],
  [
    batchId: string,
    requests: number,
    weight: number,
    positionsOfTurn: number,
    mostFirst: number,
    firstSpacing: number,
    nextSpacing: number,
  ],
  [batches: number, isAhead: 0 | 1, positions: string[]]
>(new URL('./take-turns.lua', import.meta.url), new URL('./present-turn.lua', import.meta.url));

const takeLiveTurns = defineScript<
  [turn: string, lines: string, prioritized: string, waiting: string, active: string, delayed: string],
  [tenant: string, calls: number, weight: number, positionsOfTurn: number, callsPerBatchRequest: number],
  [ahead: number, from: string, restFrom: string, step: string]
>(new URL('./take-live-turns.lua', import.meta.url), new URL('./present-turn.lua', import.meta.url));

/** So many requests of a batch that comes to its tenant's line go ahead in the first row. */
const mostFirst = 50;
/** Requests of the first row are so many times as far apart as the line's: for a while a tenant may get a quarter more. */
const firstSpacing = 4;
/**
 * And those of the next row: batches that came late share half of the tenant's turns, the line has the other half. Until
 * the line has moved on, a tenant may get half more.
 */
const nextSpacing = 2;

export const createLaneTurns = (redis: RedisConnection, keys: Keys) => {
  /** The positions for a batch's next `requests` in a lane. */
  const take = async (
    lane: string,
    { tenant, weight = 1, batchId, isNew }: LaneUser,
    requests: number,
  ): Promise<Turns> => {
    const [batches, isAhead, positions] = await takeTurns(
      redis,
      [
        keys.laneTurn(lane),
        keys.laneLine(lane, tenant),
        keys.laneBatchesBehind(lane, tenant),
        keys.laneBatchesAhead(lane, tenant),
        keys.laneJobs(lane, 'prioritized'),
        keys.laneJobs(lane, 'wait'),
        keys.laneJobs(lane, 'active'),
        keys.laneJobs(lane, 'delayed'),
        keys.laneLines(lane),
      ],
      [batchId, requests, weight, requestsPerTurn, isNew ? mostFirst : 0, firstSpacing, nextSpacing],
    );
    return { positions: positions.map(Number), batches, isAhead: isAhead === 1 };
  };

  /** The positions for a tenant's next live calls in a lane. */
  const takeLive = async (
    lane: string,
    { tenant, weight = 1, share }: LiveLaneUser,
    calls: number,
  ): Promise<number[]> => {
    const [ahead, from, restFrom, step] = await takeLiveTurns(
      redis,
      [
        keys.laneTurn(lane),
        keys.laneLines(lane),
        keys.laneJobs(lane, 'prioritized'),
        keys.laneJobs(lane, 'wait'),
        keys.laneJobs(lane, 'active'),
        keys.laneJobs(lane, 'delayed'),
      ],
      [tenant, calls, weight, requestsPerTurn, share / (1 - share)],
    );
    return Array.from({ length: calls }, (_, i) =>
      i < ahead ? Number(from) + i * Number(step) : Number(restFrom) + (i - ahead) * Number(step),
    );
  };

  return {
    take,
    takeLive,

    /** The position for one request: of a batch, or a live call. */
    async takeOne(
      lane: Pick<Lane, 'name' | 'liveShare'>,
      { tenant, batchId, live }: Pick<RequestJob, 'tenant' | 'batchId' | 'live'>,
      { weight, isNew }: Required<Pick<LaneUser, 'weight' | 'isNew'>>,
    ): Promise<number> {
      const positions = live
        ? await takeLive(lane.name, { tenant, weight, share: lane.liveShare }, 1)
        : (await take(lane.name, { tenant, weight, batchId, isNew }, 1)).positions;
      return positions[0] ?? 0;
    },
  };
};

export type LaneTurns = ReturnType<typeof createLaneTurns>;
