import { randomUUID } from 'node:crypto';
import { limitsCalls, type RequestJob, type Tenants } from '@promptmill/core';
import type { TokenEstimator } from '@promptmill/provider';
import { tenantCallLastsMs, type CountedCall, type TenantCalls } from '@promptmill/queue';
import { createWaitingJobs, type WaitingJob, type WaitingJobs, type WaitingJobsOptions } from './waiting-jobs.ts';

/** A tenant's permission for one call. */
export interface TenantShare {
  /** Says that the call goes out now. False when the permission may have run out. */
  send(): boolean;
  /** Gives it back. @param usedTokens undefined when the answer does not say; `unsent` when the call did not go out */
  end(usedTokens: number | 'unsent' | undefined): Promise<void>;
}

/** What the process needs of a tenant whose calls are limited. */
interface LimitedTenant {
  readonly name: string;
  readonly waiting: WaitingJobs;
  readonly held: Set<HeldCall>;
  /** Until this time, of `performance.now()`, it is useless to ask. */
  fullUntilMs: number;
  /** Whether the end of a call makes room. */
  isFullOfCalls: boolean;
  timer?: NodeJS.Timeout | undefined;
  wakeAtMs: number;
}

type Owned = Pick<RequestJob, 'tenant' | 'live'>;

interface HeldCall extends CountedCall {
  countedAtMs: number;
  isSent: boolean;
  keptAtMs: number;
}

export interface TenantGateOptions extends WaitingJobsOptions {
  readonly tenants: Pick<Tenants, 'limitsOf' | 'limitCalls'>;
  readonly calls: Pick<TenantCalls, 'admit' | 'keep' | 'end'>;
  /** Undefined while no tenant's tokens are limited. */
  readonly estimator: () => TokenEstimator | undefined;
}

const keepEveryMs = 2000;
/** A call whose place was not kept for this long may have lost it. */
const longestUnkeptMs = tenantCallLastsMs * 0.6;
/** A call that goes out later than this after its admission counts from when it goes out. */
const punctualMs = 25;
/** Another worker's call may end at any moment. */
const longestWaitMs = 1000;

/**
 * Holds the calls of each tenant within its limits, all lanes together. It keeps no request waiting in the process: one
 * whose tenant is over a limit goes back to its lane, delayed, and is woken when there is room.
 */
export const createTenantGate = (options: TenantGateOptions) => {
  const { tenants, calls, estimator, promote, onError } = options;
  const limited = new Map<string, LimitedTenant>();

  const limitedTenant = (name: string): LimitedTenant => {
    const known = limited.get(name);
    if (known) return known;
    const waiting = createWaitingJobs({ promote, onError });
    const tenant: LimitedTenant = {
      name,
      waiting,
      held: new Set(),
      fullUntilMs: 0,
      isFullOfCalls: false,
      wakeAtMs: Infinity,
    };
    limited.set(name, tenant);
    return tenant;
  };

  const wake = (tenant: LimitedTenant): void => {
    tenant.fullUntilMs = 0;
    tenant.waiting.wake();
  };

  /** Wakes a job after `waitMs`, and again from time to time for as long as jobs wait. */
  const wakeLater = (tenant: LimitedTenant, waitMs: number): void => {
    const atMs = performance.now() + waitMs;
    if (tenant.timer && tenant.wakeAtMs <= atMs) return;
    clearTimeout(tenant.timer);
    tenant.wakeAtMs = atMs;
    tenant.timer = setTimeout(() => {
      tenant.timer = undefined;
      wake(tenant);
      if (tenant.waiting.count() > 0) wakeLater(tenant, longestWaitMs);
    }, waitMs);
  };

  const keepTenant = async ({ name, held }: LimitedTenant): Promise<void> => {
    const kept = [...held];
    if (kept.length === 0) return;
    const keptAtMs = performance.now();
    const countedAtMs = await calls.keep(name, kept);
    for (const call of kept) {
      call.keptAtMs = keptAtMs;
      if (!call.isSent) call.countedAtMs = countedAtMs;
    }
  };
  const keeping = setInterval(() => {
    for (const tenant of limited.values()) keepTenant(tenant).catch(onError);
  }, keepEveryMs);

  const shareOf = (tenant: LimitedTenant, call: HeldCall): TenantShare => {
    let late: Promise<void> | undefined;
    let isOver = false;
    const countLate = async (): Promise<void> => {
      try {
        call.countedAtMs = await calls.keep(tenant.name, [{ ...call, isSent: false }]);
      } catch (error) {
        onError(error);
      }
    };
    return {
      send() {
        const lateMs = performance.now() - call.keptAtMs;
        if (lateMs > longestUnkeptMs) return false;
        if (lateMs > punctualMs) late = countLate();
        call.isSent = true;
        return true;
      },
      async end(usedTokens) {
        if (isOver) return;
        tenant.held.delete(call);
        await late;
        await calls.end(tenant.name, call, usedTokens);
        isOver = true;
        if (tenant.isFullOfCalls || usedTokens === 'unsent') wake(tenant);
      },
    };
  };

  return {
    /** Whether it is known already that the request's tenant may make no call now. */
    isFull({ tenant: name }: Pick<RequestJob, 'tenant'>): boolean {
      if (!tenants.limitCalls()) return false;
      const tenant = limited.get(name);
      return tenant !== undefined && performance.now() < tenant.fullUntilMs;
    },

    /** Asks for a call of the request's tenant. Undefined when nothing limits its calls. */
    async enter(request: Pick<RequestJob, 'tenant' | 'body'>): Promise<TenantShare | 'full' | undefined> {
      const { tenant: name, body } = request;
      const limits = tenants.limitsOf(name);
      if (!limitsCalls(limits)) return undefined;
      const tenant = limitedTenant(name);
      const estimatedTokens = limits.tokensPerMinute === undefined ? 0 : (estimator()?.estimate(body) ?? 0);
      const keptAtMs = performance.now();
      const id = randomUUID();
      const answer = await calls.admit(name, { id, estimatedTokens });
      if (answer.kind === 'refused') {
        const waitMs = Math.max(1, answer.waitMs);
        tenant.fullUntilMs = performance.now() + waitMs;
        tenant.isFullOfCalls = answer.untilCallEnds;
        wakeLater(tenant, waitMs);
        return 'full';
      }
      const call = { id, estimatedTokens, countedAtMs: answer.atMs, isSent: false, keptAtMs };
      tenant.held.add(call);
      if (answer.hasRoom) wake(tenant);
      return shareOf(tenant, call);
    },

    /** Whether calls of any tenant are limited. */
    isInUse: (): boolean => tenants.limitCalls(),

    /** How long a request is to wait if nobody wakes it, in milliseconds. */
    delayMs: ({ tenant, live }: Owned): number => limitedTenant(tenant).waiting.delayMs(live !== undefined),

    /** Notes that a request waits, delayed. */
    note({ tenant: name, live }: Owned, job: Omit<WaitingJob, 'isLive'>): void {
      const tenant = limitedTenant(name);
      tenant.waiting.note({ ...job, isLive: live !== undefined });
      wakeLater(tenant, Math.max(1, tenant.fullUntilMs - performance.now()));
    },

    /** Limits have changed: waiting requests find out what holds now. */
    wakeAll(): void {
      for (const tenant of limited.values()) {
        tenant.fullUntilMs = 0;
        if (limitsCalls(tenants.limitsOf(tenant.name))) tenant.waiting.wake();
        else tenant.waiting.wakeAll();
      }
    },

    close(): void {
      clearInterval(keeping);
      for (const { timer } of limited.values()) clearTimeout(timer);
    },
  };
};

export type TenantGate = ReturnType<typeof createTenantGate>;
