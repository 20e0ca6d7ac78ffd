import { defaultLiveShare } from '@promptmill/core';
import { createCallOrder } from '../lane/call-order.ts';

/** A job that waits, delayed, until its tenant may make another call. */
export interface WaitingJob {
  readonly lane: string;
  readonly jobId: string;
  readonly isLive: boolean;
}

export interface WaitingJobsOptions {
  /** Ends a job's delay. Resolves with whether it was delayed. */
  readonly promote: (job: WaitingJob) => Promise<boolean>;
  readonly onError: (error: unknown) => void;
}

/** Jobs beyond this number are not remembered. They come back when their delay is over. */
const maxRemembered = 10_000;
/** Jobs that came back by themselves are passed over, this many at a time. */
const maxTries = 20;
/**
 * Jobs come back by themselves too, since the process that remembers them may die: the more wait, the later, so that
 * Redis has little to do with them.
 */
const returnEachMs = 50;
const [firstReturnMs, lastReturnMs] = [5000, 300_000];

/** One tenant's jobs that this process has put back, live calls and batch requests each in the order in which they wait. */
export const createWaitingJobs = ({ promote, onError }: WaitingJobsOptions) => {
  const live = new Map<string, WaitingJob>();
  const batch = new Map<string, WaitingJob>();
  const order = createCallOrder(defaultLiveShare);
  let isWaking = false;

  const count = (): number => live.size + batch.size;
  const takeNext = (): WaitingJob | undefined => {
    const line = live.size === 0 || (batch.size > 0 && order.isBatchsTurn()) ? batch : live;
    const [first] = line.values();
    if (first) line.delete(first.jobId);
    return first;
  };

  /** Wakes jobs, the longest waiting of each kind first, until `tries` were looked at or `most` have woken. */
  const wakeJobs = async (tries: number, most: number): Promise<void> => {
    if (isWaking) return;
    isWaking = true;
    try {
      for (let woken = 0; tries > 0 && woken < most; tries--) {
        const job = takeNext();
        if (!job) return;
        if (!(await promote(job))) continue;
        order.note(job);
        woken++;
      }
    } catch (error) {
      onError(error);
    } finally {
      isWaking = false;
    }
  };

  return {
    count,
    note(job: WaitingJob): void {
      const line = job.isLive ? live : batch;
      if (line.size < maxRemembered) line.set(job.jobId, job);
    },
    /** How long a job is to wait if nobody wakes it, in milliseconds. */
    delayMs(isLive: boolean): number {
      const ahead = isLive ? live.size : count();
      const spreadMs = Math.min(lastReturnMs, Math.max(firstReturnMs, ahead * returnEachMs));
      return spreadMs * (0.5 + Math.random());
    },
    /** Wakes the job that has waited longest: a live call's, as long as batch requests get their share. */
    wake: (): void => void wakeJobs(maxTries, 1),
    wakeAll: (): void => void wakeJobs(Infinity, Infinity),
  };
};

export type WaitingJobs = ReturnType<typeof createWaitingJobs>;
