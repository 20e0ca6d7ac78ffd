import { type LaneState, readLaneState } from '@promptmill/queue';
import { z } from 'zod';
import { seconds } from './api-schemas.ts';
import type { ApiDependencies } from './dependencies.ts';

export const laneList = z.object({
  object: z.literal('list'),
  data: z.array(
    z
      .object({
        id: z.string(),
        object: z.literal('lane'),
        provider: z.string(),
        in_flight: z
          .int()
          .meta({ description: 'Requests in work, including those that wait until the lane admits them.' }),
        allowed: z.int().nullable().meta({ description: 'Requests that may be in work, all workers together.' }),
        waiting: z.int().meta({ description: 'Requests that wait for a worker or for their next attempt.' }),
        live_in_flight: z.int().meta({ description: 'Live calls among those in flight.' }),
        live_waiting: z.int().meta({ description: 'Live calls among those that wait.' }),
        held_until: seconds
          .nullable()
          .meta({ description: 'Until then no call is made; null while the lane is open.' }),
        reason: z.string().nullable().meta({ description: 'Why it is held: a code, and the HTTP status.' }),
        tokens_this_minute: z.int().nullable().meta({ description: 'Null where tokens are not limited.' }),
      })
      .meta({ id: 'Lane' }),
  ),
});

/** How many of the requests that wait in a lane are live calls. @param calls whose callers wait */
export const liveWaiting = ({ waiting, liveInFlight }: LaneState, calls = 0): number =>
  Math.min(waiting, Math.max(0, calls - liveInFlight));

/** `GET /v1/lanes`: what each lane is doing now. */
export const listLanes =
  ({
    config,
    redis,
    keys,
    countLiveCalls,
    now,
  }: Pick<ApiDependencies, 'config' | 'redis' | 'keys' | 'countLiveCalls' | 'now'>) =>
  async (): Promise<z.output<typeof laneList>> => {
    const liveCalls = await countLiveCalls.byLane();
    const data = await Promise.all(
      config.lanes.lanes.map(async ({ name, provider }) => {
        const state = await readLaneState(redis, keys, name, now());
        return {
          id: name,
          object: 'lane' as const,
          provider: provider.name,
          in_flight: state.inFlight,
          allowed: state.allowed ?? null,
          waiting: state.waiting,
          live_in_flight: state.liveInFlight,
          live_waiting: liveWaiting(state, liveCalls.get(name)),
          held_until: state.heldUntilMs === undefined ? null : Math.ceil(state.heldUntilMs / 1000),
          reason: state.reason ?? null,
          tokens_this_minute: state.tokensThisMinute ?? null,
        };
      }),
    );
    return { object: 'list', data };
  };
