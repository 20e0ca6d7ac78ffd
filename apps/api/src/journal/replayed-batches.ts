import type { BatchStore } from '@promptmill/queue';
import { lookTwice } from './look-twice.ts';

/** Batches of which one that is not found is looked for again after a replay of the journal that is under way. */
export const createReplayedBatches = (batches: BatchStore, replayed: () => Promise<void>): BatchStore => ({
  ...batches,
  get: (id) => lookTwice(() => batches.get(id), replayed),
});
