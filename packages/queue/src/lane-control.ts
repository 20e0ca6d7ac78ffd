import type { LaneLimits } from '@promptmill/core';
import type { Redis } from 'ioredis';
import type { Keys } from './keys.ts';
import { createScripts } from './scripts.ts';

/** What asking to let calls into a lane came to. */
export interface LaneAnswer {
  /** Calls let in: the first so many of those asked for. */
  readonly granted: number;
  /** Until asking for the others may help, in milliseconds. */
  readonly waitMs: number;
  readonly waitFor: '' | 'hold' | 'probe' | 'requests' | 'tokens';
  /** When they were let in, by Redis's clock, in milliseconds. */
  readonly atMs: number;
  /** After a hold: this call finds out whether the provider is back. */
  readonly isProbe: boolean;
}

/** How a call ended, as far as its lane is concerned; `none` says nothing of the provider. */
export type CallSignal = 'ok' | 'throttled' | 'overloaded' | 'down' | 'stopped' | 'none';

export interface CallEnd {
  readonly signal: CallSignal;
  readonly grantedAtMs: number;
  readonly estimatedTokens: number;
  /** Undefined when the answer does not say. */
  readonly usedTokens?: number | undefined;
  /** How long the provider asks to be left alone. */
  readonly retryAfterMs?: number | undefined;
  /** For people: why the lane is held. */
  readonly reason?: string;
  /** Calls that ended so. Default 1. */
  readonly count?: number;
}

/** What can be seen of a lane. */
export interface LaneState {
  /** Calls in flight that the fleet may have now, where the provider's answers decide it. */
  readonly width?: number;
  readonly heldUntilMs?: number;
  readonly reason?: string;
  /** Granted in the last minute; undefined where they are not limited. */
  readonly tokensThisMinute?: number;
}

/** One lane's limits and state, shared by all workers through Redis and by its clock. */
export const createLaneControl = (redis: Redis, keys: Keys, lane: string) => {
  const run = createScripts(redis);
  const limitsKey = keys.laneLimits(lane);
  const stateKey = keys.laneState(lane);
  const ledgerKey = keys.laneLedger(lane);
  return {
    /**
     * @param startWidth calls in flight to begin with where the limits set none; from there the provider's answers
     *   decide
     */
    async setLimits({ concurrency, requests, tokensPerMinute }: LaneLimits, startWidth: number): Promise<void> {
      const fields = { concurrency, requests: requests?.count, windowMs: requests?.windowMs, tokens: tokensPerMinute };
      const pairs = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
      await run('setLaneLimits', limitsKey, stateKey, keys.laneMeta(lane), startWidth, ...pairs);
    },

    /** @param probeMs the longest a call may take: a probe without an answer by then is taken for lost */
    async enter(estimatedTokens: readonly number[], probeMs: number): Promise<LaneAnswer> {
      const answer = await run('enterLane', limitsKey, stateKey, ledgerKey, probeMs, ...estimatedTokens);
      const [granted, waitMs, waitFor, atMs, probe] = answer as [number, number, LaneAnswer['waitFor'], number, number];
      return { granted, waitMs, waitFor, atMs, isProbe: probe === 1 };
    },

    /** The time until which the lane is held, in milliseconds; 0 when it is not. */
    async leave(end: CallEnd): Promise<number> {
      const { signal, grantedAtMs, estimatedTokens, usedTokens = -1, retryAfterMs = -1, reason = '', count = 1 } = end;
      const held = await run(
        'leaveLane',
        limitsKey,
        stateKey,
        ledgerKey,
        keys.laneMeta(lane),
        keys.laneActive(lane),
        signal,
        grantedAtMs,
        estimatedTokens,
        usedTokens,
        Math.ceil(retryAfterMs),
        reason,
        count,
      );
      return Number(held);
    },

    async state(): Promise<LaneState> {
      const [width, heldUntil, reason] = await redis.hmget(stateKey, 'width', 'heldUntil', 'reason');
      const tokens = await redis.hget(ledgerKey, 'tokens:sum');
      return {
        ...(width ? { width: Math.floor(Number(width)) } : {}),
        ...(heldUntil ? { heldUntilMs: Number(heldUntil) } : {}),
        ...(reason ? { reason } : {}),
        ...(tokens ? { tokensThisMinute: Number(tokens) } : {}),
      };
    },
  };
};

export type LaneControl = ReturnType<typeof createLaneControl>;
