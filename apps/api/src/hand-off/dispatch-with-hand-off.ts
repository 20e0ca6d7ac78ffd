import type { BatchSnapshot } from '@promptmill/queue';
import type { HandOff } from './create-hand-off.ts';

/**
 * Dispatches a batch's requests, but for those that go through a batch API. It first decides which do, and at last gives jobs
 * to those that come back without a result. `done`: all of the input is dispatched. Throws DispatchBlockedError.
 */
export const createDispatchWithHandOff =
  (handOff: Pick<HandOff, 'prepare'>, dispatch: (snapshot: BatchSnapshot) => Promise<{ done: boolean }>) =>
  async (snapshot: BatchSnapshot): Promise<{ done: boolean }> =>
    (await handOff.prepare(snapshot)) === 'changed' ? { done: false } : dispatch(snapshot);
