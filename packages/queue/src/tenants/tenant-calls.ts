import type { CallLimits } from '@promptmill/core';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys } from '../keys.ts';
import { groupCalls } from '../results/group-calls.ts';

const windowLua = new URL('../lanes/window.lua', import.meta.url);
const admitCalls = defineScript<
  [ledger: string, places: string],
  [
    lastsMs: number,
    requestsPerMinute: number | '',
    tokensPerMinute: number | '',
    concurrency: number | '',
    ...idsAndEstimates: (string | number)[],
  ],
  [granted: number, atMs: number, waitFor: keyof CallLimits | '', waitMs: number, hasRoom: 0 | 1]
>(new URL('./admit-tenant-calls.lua', import.meta.url), windowLua);
const keepCalls = defineScript<
  [ledger: string, places: string],
  [lastsMs: number, ...idsTimesAndEstimates: (string | number)[]],
  number
>(new URL('./keep-tenant-calls.lua', import.meta.url), windowLua);
const endCalls = defineScript<[ledger: string, places: string], (string | number)[], 1[]>(
  new URL('./end-tenant-calls.lua', import.meta.url),
  windowLua,
);

/** A call of a tenant. */
export interface TenantCall {
  readonly id: string;
  readonly estimatedTokens: number;
}

/** An admitted call. */
export interface CountedCall extends TenantCall {
  /** The time from which it counts, by Redis's clock, in milliseconds. */
  readonly countedAtMs: number;
}

export type TenantAnswer =
  | { readonly kind: 'admitted'; readonly atMs: number; readonly hasRoom: boolean }
  /** `waitMs`: when asking again may help; `untilCallEnds`: the end of a call helps too. */
  | { readonly kind: 'refused'; readonly waitMs: number; readonly untilCallEnds: boolean };

/** A call's place that its worker does not keep becomes free after this time. */
export const tenantCallLastsMs = 10_000;

/** The calls of each tenant, all workers together: in flight, and in the last minute. */
export const createTenantCalls = (redis: RedisConnection, keys: Keys, limitsOf: (tenant: string) => CallLimits) => {
  const keysOf = (tenant: string) => [keys.callLedger(tenant), keys.places(tenant, 'calls')] as const;

  const admit = groupCalls(async (tenant: string, calls: readonly TenantCall[]): Promise<TenantAnswer[]> => {
    const { requestsPerMinute = '', tokensPerMinute = '', concurrency = '' } = limitsOf(tenant);
    const [granted, atMs, waitFor, waitMs, hasRoom] = await admitCalls(
      redis,
      [...keysOf(tenant)],
      [
        tenantCallLastsMs,
        requestsPerMinute,
        tokensPerMinute,
        concurrency,
        ...calls.flatMap(({ id, estimatedTokens }) => [id, estimatedTokens]),
      ],
    );
    return calls.map((_, i) =>
      i < granted
        ? { kind: 'admitted', atMs, hasRoom: hasRoom === 1 }
        : { kind: 'refused', waitMs, untilCallEnds: waitFor === 'concurrency' },
    );
  });

  const end = groupCalls((tenant: string, calls: readonly (CountedCall & { readonly usedTokens: number })[]) =>
    endCalls(
      redis,
      [...keysOf(tenant)],
      calls.flatMap(({ id, countedAtMs, estimatedTokens, usedTokens }) => [
        id,
        countedAtMs,
        estimatedTokens,
        usedTokens,
      ]),
    ),
  );

  return {
    /** Asks whether a call may go. Those of a tenant that ask in one event-loop turn share one question. */
    admit,

    /**
     * Keeps the places of calls. Those that have not gone out count from now on; resolves with that time, by Redis's
     * clock, in milliseconds.
     */
    keep(tenant: string, calls: readonly (CountedCall & { readonly isSent: boolean })[]): Promise<number> {
      return keepCalls(
        redis,
        [...keysOf(tenant)],
        [
          tenantCallLastsMs,
          ...calls.flatMap(({ id, isSent, countedAtMs, estimatedTokens }) => [
            id,
            isSent ? 0 : countedAtMs,
            estimatedTokens,
          ]),
        ],
      );
    },

    /** @param usedTokens undefined when the answer does not say; `unsent` when the call has not gone out */
    async end(tenant: string, call: CountedCall, usedTokens: number | 'unsent' | undefined): Promise<void> {
      await end(tenant, { ...call, usedTokens: usedTokens === 'unsent' ? -2 : (usedTokens ?? -1) });
    },

    /** Which limit keeps calls of a tenant waiting, and until when at least. */
    async refusal(tenant: string, nowMs: number): Promise<{ limit: keyof CallLimits; untilMs: number } | undefined> {
      const [limit, until] = await redis.hmget(keys.callLedger(tenant), 'refusedFor', 'refusedUntil');
      const untilMs = Number(until ?? 0);
      return limit && untilMs > nowMs ? { limit: limit as keyof CallLimits, untilMs } : undefined;
    },
  };
};

export type TenantCalls = ReturnType<typeof createTenantCalls>;
