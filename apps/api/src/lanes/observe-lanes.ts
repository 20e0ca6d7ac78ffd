import { upstreamsOf } from '@promptmill/core';
import { readLaneState } from '@promptmill/queue';
import type { ApiDependencies } from '../dependencies.ts';
import { liveWaiting } from './show-lane.ts';

/** Brings the lanes' gauges up to date; a Redis that is away leaves them as they were. */
export const createObserveLanes =
  ({
    config,
    redis,
    keys,
    live,
    countLiveCalls,
    metrics,
    now,
  }: Pick<ApiDependencies, 'config' | 'redis' | 'keys' | 'live' | 'countLiveCalls' | 'metrics' | 'now'>) =>
  async (): Promise<void> => {
    metrics.liveCallsWaiting.set(live.count());
    if (redis.status !== 'ready') return;
    const liveCalls = await countLiveCalls.byLane();
    await Promise.all(
      config.lanes.lanes.map(async ({ name: lane }) => {
        const state = await readLaneState(redis, keys, lane, upstreamsOf(config.lanes, lane), now());
        const { inFlight, liveInFlight, allowed, waiting, heldUntilMs } = state;
        metrics.laneRequests.set({ lane, state: 'in_flight' }, inFlight);
        metrics.laneRequests.set({ lane, state: 'waiting' }, waiting);
        metrics.laneRequests.set({ lane, state: 'live_in_flight' }, liveInFlight);
        metrics.laneRequests.set({ lane, state: 'live_waiting' }, liveWaiting(state, liveCalls.get(lane)));
        if (allowed !== undefined) metrics.laneRequests.set({ lane, state: 'allowed' }, allowed);
        metrics.laneHeldSeconds.set({ lane }, heldUntilMs === undefined ? 0 : (heldUntilMs - now()) / 1000);
      }),
    );
  };
