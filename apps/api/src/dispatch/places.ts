import { setTimeout as sleep } from 'node:timers/promises';

/**
 * The places that batches at work have in this process. A batch keeps its place between its steps for as long as another
 * place is free. When the last one is taken, the batch that has waited longest gives its place up: whoever comes next
 * finds one.
 *
 * @param count the most batches that are in work at once
 */
export const createPlaces = (count: number) => {
  const waiting = new Set<AbortController>();
  let taken = 0;
  let isClosed = false;

  const wakeOne = (): void => {
    const [longest] = waiting;
    longest?.abort();
    if (longest) waiting.delete(longest);
  };

  return {
    /** A batch takes a place, and calls the function given back when it leaves. */
    take(): () => void {
      taken++;
      if (taken >= count) wakeOne();
      return () => {
        taken--;
      };
    },

    /** Waits in a batch's place. False, and at once, when the place must be given up. */
    async wait(ms: number): Promise<boolean> {
      if (isClosed || taken >= count) return false;
      const wake = new AbortController();
      waiting.add(wake);
      await sleep(ms, undefined, { signal: wake.signal }).catch(() => {});
      waiting.delete(wake);
      return !wake.signal.aborted;
    },

    isClosed: (): boolean => isClosed,

    /** All places must be given up. */
    close(): void {
      isClosed = true;
      for (const wake of waiting) wake.abort();
      waiting.clear();
    },
  };
};

export type Places = ReturnType<typeof createPlaces>;
