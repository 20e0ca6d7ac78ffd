import type { Job } from 'bullmq';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys } from '../keys.ts';

/** The right of one run of the processor to its job. Two runs of one job, in this process or others, have two locks. */
export interface JobLock {
  /** False once another run has the job, for example after this process was stopped or cut off for a while. */
  readonly isHeld: boolean;
}

/** A lock that is not renewed lasts this long. */
export const lockDurationMs = 7000;
const renewEveryMs = 500;

const renewLocks = defineScript<
  [active: string, marks: string],
  [jobKeysStart: string, durationMs: number, ...idsAndTokens: string[]],
  number[]
>(new URL('./renew-locks.lua', import.meta.url));

/**
 * Renews the locks of a lane's jobs in work. BullMQ's own renewal knows a job only by its id. When a process takes a
 * job again that it still works on, the end of the first run would end the renewal for the second run.
 */
export const createJobLocks = (
  connection: RedisConnection,
  keys: Keys,
  name: string,
  onError: (error: Error) => void,
) => {
  interface Held {
    isHeld: boolean;
    readonly id: string;
    readonly token: string;
    readonly sinceMs: number;
  }
  const held = new Set<Held>();
  let timer: NodeJS.Timeout | undefined;

  const renew = async (): Promise<void> => {
    // Most jobs end before their first renewal.
    const due = [...held].filter(({ sinceMs }) => performance.now() - sinceMs >= renewEveryMs);
    if (due.length === 0) return;
    const lost = await renewLocks(
      connection,
      [keys.laneJobs(name, 'active'), keys.laneJobs(name, 'stalled')],
      [keys.laneJob(name, ''), lockDurationMs, ...due.flatMap(({ id, token }) => [id, token])],
    );
    for (const position of lost) {
      const lock = due[position];
      if (!lock || !held.delete(lock)) continue;
      lock.isHeld = false;
      onError(new Error(`the job ${lock.id} of ${name} was taken by another worker`));
    }
  };
  const keepRenewing = (): void => {
    timer = setTimeout(() => {
      renew()
        .catch(onError)
        .finally(() => {
          if (timer) keepRenewing();
        });
    }, renewEveryMs);
  };
  keepRenewing();

  return {
    /** Renews a job's lock, which BullMQ has just taken, until `run` has ended. */
    async during<T>(job: Job, run: (lock: JobLock) => Promise<T>): Promise<T> {
      const lock: Held = { isHeld: true, id: job.id ?? '', token: job.token ?? '', sinceMs: performance.now() };
      held.add(lock);
      try {
        return await run(lock);
      } finally {
        held.delete(lock);
      }
    },
    close(): void {
      clearTimeout(timer);
      timer = undefined;
    },
  };
};
