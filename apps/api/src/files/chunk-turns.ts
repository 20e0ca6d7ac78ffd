import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';

/** A pause between two chunks is never longer, in milliseconds. */
const longestPauseMs = 20;

export interface ChunkTurnsOptions {
  /** Whether another tenant than this one uses the api just now. */
  readonly hasOthers: (tenant: string) => boolean;
}

/**
 * Lets one chunk of a tenant's uploads through in each turn of the event loop, however many it sends at once: checking
 * the lines of a chunk takes milliseconds, in which nobody else is answered. While others use the api, a pause as long as
 * that follows each chunk, so uploads of one tenant take half of the api at most.
 */
export const createChunkTurns = ({ hasOthers }: ChunkTurnsOptions) => {
  const lastTurns = new Map<string, Promise<void>>();

  /** Resolves when it is the turn of the tenant's next chunk. */
  return async (tenant: string): Promise<void> => {
    const before = lastTurns.get(tenant);
    const turn = (async () => {
      await before;
      const startedAt = performance.now();
      await nextTurn();
      if (before && hasOthers(tenant)) await delay(Math.min(longestPauseMs, performance.now() - startedAt));
    })();
    lastTurns.set(tenant, turn);
    await turn;
    if (lastTurns.get(tenant) === turn) lastTurns.delete(tenant);
  };
};
