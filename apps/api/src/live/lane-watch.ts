import { ApiError, upstreamsOf, type LaneTable } from '@promptmill/core';
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
  readonly lanes: Pick<LaneTable, 'lanes'>;
  readonly live: Pick<LiveCalls, 'positionOf'>;
  readonly now: () => number;
}

/** The calls that may go to the same lanes: their own, and those of their fallbacks. */
interface Group {
  readonly lanes: readonly string[];
  readonly calls: Set<WaitingCall>;
  /** Whether all of its lanes were held at the last look. */
  wasHeld: boolean;
}

const lookEveryMs = 500;
/** The call that a provider has just refused gets that answer itself, which may come after the hold that it began. */
const lookAgainMs = 250;

/**
 * Looks at the lanes in which live calls wait. Where no lane of a call takes it until someone acts, or each opens only
 * after the call's deadline, its caller is told at once.
 */
export const createLaneWatch = ({ redis, keys, lanes: table, live, now }: LaneWatchOptions) => {
  const groups = new Map<string, Group>();

  const look = async (group: Group): Promise<void> => {
    const { lanes, calls, wasHeld } = group;
    const holds = await Promise.all(lanes.map((lane) => readLaneHold(redis, keys, upstreamsOf(table, lane))));
    const lasting = holds.filter((hold) => hold !== undefined).filter(({ untilMs }) => untilMs > now());
    const [first] = lasting;
    group.wasHeld = first !== undefined && lasting.length === lanes.length;
    if (!first || !group.wasHeld) return;
    if (!wasHeld) {
      setTimeout(() => lookAt(group), lookAgainMs);
      return;
    }
    const opensMs = Math.min(...lasting.map(({ untilMs }) => untilMs));
    const retryAfterSeconds = Math.max(1, Math.ceil((opensMs - now()) / 1000));
    for (const call of calls) {
      const isInTime = lasting.some(({ isStopped, untilMs }) => !isStopped && untilMs <= call.deadlineMs);
      if (!call.isWaiting() || isInTime) continue;
      const message = `The provider takes no calls at the moment: ${first.reason}.`;
      call.fail(new ApiError(503, message, { code: 'lane_held', retryAfterSeconds }));
    }
  };
  const lookAt = (group: Group): void => {
    // While Redis is away, calls wait.
    look(group).catch(() => {});
  };
  const timer = setInterval(() => {
    for (const group of groups.values()) lookAt(group);
  }, lookEveryMs);

  return {
    /** Watches the lanes of a call: its own, then those of its fallbacks. Returns a function that ends this. */
    watch(lanes: readonly string[], call: WaitingCall): () => void {
      const name = lanes.join('\n');
      const group = groups.get(name) ?? { lanes, calls: new Set(), wasHeld: false };
      groups.set(name, group);
      group.calls.add(call);
      if (group.calls.size === 1) lookAt(group);
      return () => {
        group.calls.delete(call);
        if (group.calls.size === 0) groups.delete(name);
      };
    },

    /**
     * Follows a call that waits. The function that it returns tells people where the call stands and, once it has moved
     * up, how long its wait may still take at that speed.
     */
    follow(callId: string): () => Promise<string> {
      let before: { readonly ahead: number; readonly atMs: number } | undefined;
      return async () => {
        const ahead = await live.positionOf(callId);
        if (ahead === undefined) return 'in work';
        const atMs = now();
        const passed = before ? before.ahead - ahead : 0;
        const secondsEach = before && passed > 0 ? (atMs - before.atMs) / 1000 / passed : undefined;
        before = { ahead, atMs };
        const place = `queued ${ahead + 1}`;
        return secondsEach === undefined ? place : `${place}, about ${Math.ceil((ahead + 1) * secondsEach)} s`;
      };
    },

    close: (): void => clearInterval(timer),
  };
};

export type LaneWatch = ReturnType<typeof createLaneWatch>;
