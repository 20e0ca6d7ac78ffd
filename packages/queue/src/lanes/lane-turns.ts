import { type RequestJob, type RetryPolicy, jobIdOf } from '@promptmill/core';
import type { BulkJobOptions, Queue } from 'bullmq';
import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';

/**
 * Fair queueing in a lane. Every request has a position; BullMQ's priority orders jobs by it. A batch's requests line
 * up from the lane's present turn, so a small batch waits for a turn of a large one, not for its whole window. Source:
 * start-time fair queueing, https://dl.acm.org/doi/10.1145/248156.248171
 */
const requestsPerTurn = 10;

/** The highest number that BullMQ knows. Jobs beyond it wait in order of arrival until the lane is idle. */
const lastPriority = 2 ** 21 - 1;

const priorityOf = (position: number): number => Math.min(lastPriority, 1 + Math.floor(position / requestsPerTurn));

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

const whenFinished = ({ index, bytes }: RequestJob): BulkJobOptions => {
  if (bytes > keptJobBytes) return { removeOnFail: true };
  return isSample(index) ? { removeOnComplete: { count: keptJobs } } : {};
};

export const requestJobOptions = (job: RequestJob, position: number, retry: RetryPolicy): BulkJobOptions => ({
  jobId: jobIdOf(job.batchId, job.index),
  priority: priorityOf(position),
  attempts: retry.attempts,
  backoff: { type: 'full-jitter' },
  ...whenFinished(job),
});

export const createLaneTurns = (redis: RedisConnection, keys: Keys) => ({
  /** The position for a batch's next request, given the one after its last. An idle lane starts again at 0. */
  async next(queue: Queue<RequestJob>, afterOwnLast: number): Promise<number> {
    const [first] = await queue.getPrioritized(0, 0);
    if (first) return Math.max(afterOwnLast, (first.priority - 1) * requestsPerTurn);
    const { active = 0, delayed = 0 } = await queue.getJobCounts('active', 'delayed');
    if (active + delayed === 0) return 0;
    return Math.max(afterOwnLast, Number((await redis.get(keys.laneEnd(queue.name))) ?? 0));
  },

  async noteEnd(lane: string, position: number): Promise<void> {
    await redis.set(keys.laneEnd(lane), position);
  },
});

export type LaneTurns = ReturnType<typeof createLaneTurns>;
