import { readLaneState } from '@promptmill/queue';
import type { ApiDependencies } from './dependencies.ts';

/** Brings the lanes' gauges up to date; a Redis that is away leaves them as they were. */
export const createObserveLanes =
  ({ config, redis, keys, metrics, now }: Pick<ApiDependencies, 'config' | 'redis' | 'keys' | 'metrics' | 'now'>) =>
  async (): Promise<void> => {
    if (redis.status !== 'ready') return;
    await Promise.all(
      config.lanes.lanes.map(async ({ name: lane }) => {
        const { inFlight, allowed, waiting, heldUntilMs } = await readLaneState(redis, keys, lane, now());
        metrics.laneRequests.set({ lane, state: 'in_flight' }, inFlight);
        metrics.laneRequests.set({ lane, state: 'waiting' }, waiting);
        if (allowed !== undefined) metrics.laneRequests.set({ lane, state: 'allowed' }, allowed);
        metrics.laneHeldSeconds.set({ lane }, heldUntilMs === undefined ? 0 : (heldUntilMs - now()) / 1000);
      }),
    );
  };
