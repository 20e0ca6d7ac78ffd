import type { BatchStore } from '@promptmill/queue';
import { lookTwice } from './look-twice.ts';

/** A batch store that looks for a missing batch again after a replay of the journal that is under way. */
export const createReplayedBatches = (batches: BatchStore, replayed: () => Promise<void>): BatchStore => ({
  ...batches,
  get: (id) => lookTwice(() => batches.get(id), replayed),
});
