import { setTimeout as sleep } from 'node:timers/promises';

/**
 * The places that batches at work have in this process. A batch keeps its place between its steps while no more than
 * `kept` places are taken. For each that is taken beyond, the batch that has waited longest gives its place up, and a
 * batch that ends its step does. So whoever comes next finds a place, and with very many batches all places are turns.
 *
 * @param kept fewer than the process has places
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
    /** A batch takes a place, and calls the function given back when it leaves. */
    take(): () => void {
      taken++;
      if (taken > kept) wakeOne();
      return () => {
        taken--;
      };
    },

    /**
     * Waits in a batch's place. False, and at once, when the place must be given up.
     *
     * @param lost fires when the batch is another process's by now
     */
    async wait(ms: number, lost?: AbortSignal): Promise<boolean> {
      if (isClosed || taken > kept || lost?.aborted) return false;
      const wake = new AbortController();
      waiting.add(wake);
      const signal = lost ? AbortSignal.any([wake.signal, lost]) : wake.signal;
      await sleep(ms, undefined, { signal }).catch(() => {});
      waiting.delete(wake);
      return !signal.aborted;
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
