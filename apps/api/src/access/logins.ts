import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError } from '@promptmill/core';
import type { Request, Response } from 'express';
import { addressGroup } from './address-group.ts';

/** Failures of one address. */
interface Failures {
  count: number;
  /** When the minute began in which they are counted. */
  sinceMs: number;
  /** Refusals that are being delayed. */
  waiting: number;
}

export interface LoginsOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Waits some milliseconds. Default: a timer. */
  readonly wait?: (ms: number) => Promise<unknown>;
}

const windowMs = 60_000;
/** Failures of one address in a minute that are answered at once. */
const freeFailures = 10;
const firstDelayMs = 100;
const maxDelayMs = 2000;
/** Refusals that are delayed at the same time: of one address, and of all. */
const maxWaitingOfAddress = 8;
const maxWaiting = 200;
/** Most addresses with failures that are remembered, and most pairs of an address and a secret that it has shown. */
const maxRemembered = 10_000;

/** A map and a set keep their order, so that the first is the oldest. */
const dropOldest = (kept: Map<string, unknown> | Set<string>): void => {
  if (kept.size <= maxRemembered) return;
  const [oldest = ''] = kept.keys();
  kept.delete(oldest);
};

/**
 * Makes guessing of keys and passwords slow. From the eleventh failure of an address within a minute, each further one
 * is answered later, up to 2 s. While eight wait, the address gets 429, whether the secret is right or not, so that many
 * guesses at once learn no more. A secret that this address has shown before is still taken: a caller who shares an
 * address with one who guesses, as behind a proxy, goes on.
 */
export const createLogins = ({ now, wait = (ms) => sleep(ms, undefined, { ref: false }) }: LoginsOptions) => {
  const failuresOf = new Map<string, Failures>();
  const known = new Set<string>();
  let waiting = 0;

  const isHeldBack = (failures: Failures | undefined): boolean =>
    failures !== undefined &&
    failures.count >= freeFailures &&
    (failures.waiting >= maxWaitingOfAddress || waiting >= maxWaiting);

  const currentFailures = (group: string): Failures | undefined => {
    const failures = failuresOf.get(group);
    if (failures && now() - failures.sinceMs >= windowMs) {
      failures.count = 0;
      failures.sinceMs = now();
    }
    return failures;
  };

  const newFailures = (group: string): Failures => {
    const failures = { count: 0, sinceMs: now(), waiting: 0 };
    failuresOf.set(group, failures);
    dropOldest(failuresOf);
    return failures;
  };

  const delay = async (failures: Failures): Promise<void> => {
    const excess = failures.count - freeFailures;
    if (excess <= 0) return;
    failures.waiting++;
    waiting++;
    await wait(Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(excess - 1, 10)));
    failures.waiting--;
    waiting--;
  };

  return {
    /**
     * Returns what `identify` does, which throws an ApiError 401 when it refuses the request's `Authorization` header.
     *
     * @throws that error, later after many of them; or an ApiError 429.
     */
    async check<T>(request: Request, response: Response, identify: () => T): Promise<T> {
      const { authorization } = request.headers;
      const group = addressGroup(request.ip ?? '');
      const tooMany = (): ApiError => {
        response.set('retry-after', String(maxDelayMs / 1000));
        const message = `Too many wrong API keys or passwords from your address. Try again in ${maxDelayMs / 1000} s.`;
        return new ApiError(429, message, { code: 'too_many_failed_logins' });
      };
      try {
        const identity = identify();
        if (authorization === undefined) return identity;
        const pair = `${group} ${hash('sha256', authorization)}`;
        if (!known.has(pair)) {
          if (isHeldBack(currentFailures(group))) throw tooMany();
          known.add(pair);
          dropOldest(known);
        }
        return identity;
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 401) throw error;
        // A browser asks for the Board without a login first. No secret is no guess.
        if (authorization === undefined) throw error;
        const failures = currentFailures(group) ?? newFailures(group);
        failures.count++;
        if (isHeldBack(failures)) throw tooMany();
        await delay(failures);
        throw error;
      }
    },
  };
};

export type Logins = ReturnType<typeof createLogins>;
