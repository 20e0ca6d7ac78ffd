import { setTimeout as sleep } from 'node:timers/promises';

/**
 * The places of this process for batches at work. A batch keeps its place between two steps while at most `kept` places
 * are taken. When one more is taken, the batch that has waited longest gives its place up, and no batch keeps its place
 * after a step. So a new batch finds a free place, and thousands of batches take turns.
 *
 * @param kept must be less than the number of places
 */
export const createPlaces = (kept: number) => {
  const waiting = new Set<AbortController>();
  let taken = 0;
  let isClosed = false;

  const wakeOne = (): void => {
    const [longest] = waiting;
    longest?.abort();
    if (longest) waiting.delete(longest);
  };

  return {
    /** Takes a place. The returned function gives it up. */
    take(): () => void {
      taken++;
      if (taken > kept) wakeOne();
      return () => {
        taken--;
      };
    },

    /** Waits in a batch's place. Resolves with true after `ms`, or with false as soon as the place must be given up. */
    async wait(ms: number): Promise<boolean> {
      if (isClosed || taken > kept) return false;
      const wake = new AbortController();
      waiting.add(wake);
      await sleep(ms, undefined, { signal: wake.signal }).catch(() => {});
      waiting.delete(wake);
      return !wake.signal.aborted;
    },

    isClosed: (): boolean => isClosed,

    /** From now on every place must be given up. */
    close(): void {
      isClosed = true;
      for (const wake of waiting) wake.abort();
      waiting.clear();
    },
  };
};

export type Places = ReturnType<typeof createPlaces>;
