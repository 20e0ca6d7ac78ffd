import type { BatchSnapshot } from '@promptmill/queue';
import type { CopyResults } from './copy-results.ts';
import type { PrepareBatch } from './prepare-batch.ts';

export interface DispatchWithCopiesOptions {
  readonly prepare: PrepareBatch;
  /** Adds requests to their lanes, but for those that get copies. */
  readonly dispatch: (snapshot: BatchSnapshot) => Promise<{ done: boolean }>;
  readonly copy: CopyResults;
}

/**
 * Dispatches a batch's requests. In a batch with `dedupe` or `cache` it first finds which get copies, and at last makes
 * them. `done`: there is nothing left to do. Throws DispatchBlockedError.
 */
export const createDispatchWithCopies =
  ({ prepare, dispatch, copy }: DispatchWithCopiesOptions) =>
  async (snapshot: BatchSnapshot): Promise<{ done: boolean }> => {
    const { batch, state } = snapshot;
    if ((batch.dedupe || batch.cache !== undefined) && state.repeatList === undefined) {
      await prepare(snapshot);
      return { done: false };
    }
    const { done } = await dispatch(snapshot);
    const hasRepeatsLeft = state.repeats > 0 && batch.completed + batch.failed < batch.total;
    if (!done || !hasRepeatsLeft) return { done };
    const haveFirsts =
      state.dispatched >= batch.total &&
      state.outstanding === 0 &&
      state.uncollected === 0 &&
      state.openShards + state.returningShards === 0;
    if (haveFirsts) await copy(snapshot);
    return { done: false };
  };
