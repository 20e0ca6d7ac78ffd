import type { BatchStore } from '@promptmill/queue';
import { lookTwice } from './look-twice.ts';

/** The batches. One that is not there is looked for again when the journal has been replayed. */
export const createReplayedBatches = (batches: BatchStore, replayed: () => Promise<void>): BatchStore => ({
  ...batches,
  get: (id) => lookTwice(() => batches.get(id), replayed),
});
