import { ApiError } from '@promptmill/core';

export interface LargeBodiesOptions {
  /** Most bytes of large bodies that are in work at once. */
  readonly maxBytes: number;
  /** Most of them for one tenant. */
  readonly maxTenantBytes: number;
  /** How long a body waits for its turn, in milliseconds. */
  readonly maxWaitMs: number;
  /** Most bodies of one tenant that wait. */
  readonly maxWaiting: number;
}

/** Gives the place back. */
type Leave = () => void;

interface Waiter {
  readonly tenant: string;
  readonly bytes: number;
  readonly enter: (leave: Leave) => void;
}

const retryAfterSeconds = 1;

/** Says which limit a body has waited for: the tenant's, or the one for all. */
const refusal = (isTenant: boolean, bytes: number, maxBytes: number): ApiError =>
  isTenant
    ? new ApiError(
        429,
        `Your large request bodies in work at once may have ${maxBytes} bytes; this one has ${bytes}. Try again.`,
        { code: 'too_many_large_bodies', retryAfterSeconds },
      )
    : new ApiError(503, 'Too many large request bodies are in work. Try again.', {
        code: 'too_many_large_bodies',
        retryAfterSeconds,
      });

/**
 * Lets a few large bodies in at once, since a parsed body takes many times its size. One that finds no room waits unread.
 * `enter` resolves with the function that gives the room back; it rejects with 429 when the tenant has its share, and
 * with 503 when other tenants' bodies take all.
 */
export const createLargeBodies = ({ maxBytes, maxTenantBytes, maxWaitMs, maxWaiting }: LargeBodiesOptions) => {
  const ofTenant = new Map<string, number>();
  const waiters = new Set<Waiter>();
  let inWork = 0;

  const bytesOf = (tenant: string): number => ofTenant.get(tenant) ?? 0;
  const fitsTenant = (tenant: string, bytes: number): boolean => bytesOf(tenant) + bytes <= maxTenantBytes;
  const fits = (tenant: string, bytes: number): boolean => inWork + bytes <= maxBytes && fitsTenant(tenant, bytes);

  const add = (tenant: string, bytes: number): void => {
    inWork += bytes;
    const left = bytesOf(tenant) + bytes;
    if (left === 0) ofTenant.delete(tenant);
    else ofTenant.set(tenant, left);
  };

  const take = (tenant: string, bytes: number): Leave => {
    add(tenant, bytes);
    let isLeft = false;
    return () => {
      if (isLeft) return;
      isLeft = true;
      add(tenant, -bytes);
      for (const waiter of waiters) {
        if (!fits(waiter.tenant, waiter.bytes)) continue;
        waiters.delete(waiter);
        waiter.enter(take(waiter.tenant, waiter.bytes));
      }
    };
  };

  return {
    async enter(tenant: string, bytes: number, signal: AbortSignal): Promise<Leave> {
      if (fits(tenant, bytes)) return take(tenant, bytes);
      const refuse = (): ApiError => refusal(!fitsTenant(tenant, bytes), bytes, maxTenantBytes);
      if ([...waiters].filter((waiter) => waiter.tenant === tenant).length >= maxWaiting) throw refuse();
      const { promise, resolve, reject } = Promise.withResolvers<Leave>();
      const waiter: Waiter = { tenant, bytes, enter: resolve };
      waiters.add(waiter);
      const giveUp = (): void => {
        if (waiters.delete(waiter)) reject(refuse());
      };
      const timer = setTimeout(giveUp, maxWaitMs);
      signal.addEventListener('abort', giveUp, { once: true });
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', giveUp);
      }
    },
  };
};

export type LargeBodies = ReturnType<typeof createLargeBodies>;
