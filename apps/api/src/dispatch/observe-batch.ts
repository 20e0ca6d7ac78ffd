import type { Batch, HeldLane } from '@promptmill/core';
import type { BatchStore, LaneState } from '@promptmill/queue';

export interface ObserveBatchOptions {
  readonly batches: BatchStore;
  readonly laneState: (lane: string) => Promise<LaneState>;
  readonly now: () => number;
}

const everyMs = 1000;
/** Weight of the latest second in the running rate. */
const weight = 0.3;
/** Batches watched at once; one forgotten is seen anew. */
const maxSeen = 1000;

/** Notes how fast a batch gets on and which held lanes it waits for, about once a second. */
export const createObserveBatch = ({ batches, laneState, now }: ObserveBatchOptions) => {
  const seen = new Map<string, { atMs: number; settled: number; rate: number | undefined }>();

  const heldLanes = async (lanes: readonly string[]): Promise<HeldLane[]> => {
    const states = await Promise.all(lanes.map(async (lane) => ({ lane, ...(await laneState(lane)) })));
    return states.flatMap(({ lane, heldUntilMs, reason = '' }) =>
      heldUntilMs === undefined ? [] : [{ lane, reason, heldUntilMs }],
    );
  };

  return async (batch: Batch): Promise<void> => {
    const atMs = now();
    const settled = batch.completed + batch.failed;
    const before = seen.get(batch.id);
    if (before && atMs < before.atMs + everyMs) return;
    const latest = before && ((settled - before.settled) * 1000) / (atMs - before.atMs);
    const rate = latest === undefined ? undefined : (before?.rate ?? latest) * (1 - weight) + latest * weight;
    seen.delete(batch.id);
    seen.set(batch.id, { atMs, settled, rate });
    if (seen.size > maxSeen) seen.delete(seen.keys().next().value ?? '');
    const { positions } = await batches.dispatchState(batch.id);
    const waitingFor = await heldLanes(Object.keys(positions));
    await batches.observe(batch.id, { ...(rate === undefined ? {} : { requestsPerSecond: rate }), waitingFor });
  };
};
