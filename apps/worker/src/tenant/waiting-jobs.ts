/** A job that waits, delayed, until its tenant may make another call. */
export interface WaitingJob {
  readonly lane: string;
  readonly jobId: string;
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

/** One tenant's jobs that this process has put back, in the order in which they wait. */
export const createWaitingJobs = ({ promote, onError }: WaitingJobsOptions) => {
  const laneOf = new Map<string, string>();
  let isWaking = false;

  /** Wakes jobs, the longest waiting first, until `tries` were looked at or `most` have woken. */
  const wakeJobs = async (tries: number, most: number): Promise<void> => {
    if (isWaking) return;
    isWaking = true;
    try {
      for (let woken = 0; tries > 0 && woken < most; tries--) {
        const [first] = laneOf;
        if (!first) return;
        const [jobId, lane] = first;
        laneOf.delete(jobId);
        if (await promote({ lane, jobId })) woken++;
      }
    } catch (error) {
      onError(error);
    } finally {
      isWaking = false;
    }
  };

  return {
    count: (): number => laneOf.size,
    note({ lane, jobId }: WaitingJob): void {
      if (laneOf.size < maxRemembered) laneOf.set(jobId, lane);
    },
    /** How long a job is to wait if nobody wakes it, in milliseconds. */
    delayMs(): number {
      const spreadMs = Math.min(lastReturnMs, Math.max(firstReturnMs, laneOf.size * returnEachMs));
      return spreadMs * (0.5 + Math.random());
    },
    /** Wakes the job that has waited longest. */
    wake: (): void => void wakeJobs(maxTries, 1),
    wakeAll: (): void => void wakeJobs(Infinity, Infinity),
  };
};

export type WaitingJobs = ReturnType<typeof createWaitingJobs>;
