import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Lets one chunk of a tenant's uploads through in each turn of the event loop, however many it sends at once: checking
 * the lines of a chunk takes milliseconds, in which nobody else is answered.
 */
export const createChunkTurns = () => {
  const lastTurns = new Map<string, Promise<void>>();

  /** Resolves when it is the turn of the tenant's next chunk. */
  return async (tenant: string): Promise<void> => {
    const before = lastTurns.get(tenant);
    const turn = (async () => {
      await before;
      await nextTurn();
    })();
    lastTurns.set(tenant, turn);
    await turn;
    if (lastTurns.get(tenant) === turn) lastTurns.delete(tenant);
  };
};
