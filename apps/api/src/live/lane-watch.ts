import { ApiError } from '@promptmill/core';
import { type Keys, readLaneHold, type RedisConnection } from '@promptmill/queue';
import type { LiveCalls } from './live-calls.ts';

/** A live call that waits for its lane. */
export interface WaitingCall {
  /** In Unix milliseconds. */
  readonly deadlineMs: number;
  /** Whether its caller has got nothing of an answer. */
  readonly isWaiting: () => boolean;
  /** Ends the call for its caller. */
  readonly fail: (error: ApiError) => void;
}

export interface LaneWatchOptions {
  readonly redis: RedisConnection;
  readonly keys: Keys;
  readonly live: Pick<LiveCalls, 'positionOf'>;
  readonly now: () => number;
}

const lookEveryMs = 1000;

/**
 * Looks at the lanes in which live calls wait. Where a lane takes no call until someone acts, or opens only after a call's
 * deadline, its callers are told at once.
 */
export const createLaneWatch = ({ redis, keys, live, now }: LaneWatchOptions) => {
  const lanes = new Map<string, Set<WaitingCall>>();

  const look = async (lane: string): Promise<void> => {
    const hold = await readLaneHold(redis, keys, lane);
    if (!hold || hold.untilMs <= now()) return;
    const retryAfterSeconds = Math.max(1, Math.ceil((hold.untilMs - now()) / 1000));
    for (const call of lanes.get(lane) ?? []) {
      if (!call.isWaiting() || !(hold.isStopped || hold.untilMs > call.deadlineMs)) continue;
      const message = `The provider takes no calls at the moment: ${hold.reason}.`;
      call.fail(new ApiError(503, message, { code: 'lane_held', retryAfterSeconds }));
    }
  };
  const lookAt = (lane: string): void => {
    // While Redis is away, calls wait.
    look(lane).catch(() => {});
  };
  const timer = setInterval(() => {
    for (const lane of lanes.keys()) lookAt(lane);
  }, lookEveryMs);

  return {
    /** Watches the lane for a call. Returns a function that ends this. */
    watch(lane: string, call: WaitingCall): () => void {
      const calls = lanes.get(lane) ?? new Set();
      lanes.set(lane, calls.add(call));
      if (calls.size === 1) lookAt(lane);
      return () => {
        calls.delete(call);
        if (calls.size === 0) lanes.delete(lane);
      };
    },

    /** Where a call stands, for people. */
    async describePlace(callId: string): Promise<string> {
      const ahead = await live.positionOf(callId);
      return ahead === undefined ? 'in work' : `queued ${ahead + 1}`;
    },

    close: (): void => clearInterval(timer),
  };
};

export type LaneWatch = ReturnType<typeof createLaneWatch>;
