import type { Tenants } from '@promptmill/core';
import { keepPlaceEveryMs, type TenantPlaces } from '@promptmill/queue';
import { overLimit } from '../tenants/over-limit.ts';

export interface LivePlacesOptions {
  /** This api process. */
  readonly api: string;
  readonly places: Pick<TenantPlaces, 'take' | 'giveBack'>;
  readonly limitsOf: Tenants['limitsOf'];
}

interface Share {
  /** How many calls of the tenant this process has. */
  calls: number;
  /** How many it may have. */
  reserved: number;
  reserving?: Promise<void> | undefined;
}

/** Places are reserved by so many, so that few calls wait for Redis. */
const reserveAtOnce = 100;

/** The places of live calls that wait, among those that each tenant may have in all api processes together. */
export const createLivePlaces = ({ api, places, limitsOf }: LivePlacesOptions) => {
  const shares = new Map<string, Share>();

  const place = (tenant: string) => ({ tenant, kind: 'live-calls', id: api }) as const;

  const reserve = async (tenant: string, share: Share, least: number, wanted: number): Promise<void> => {
    const most = limitsOf(tenant).liveCallsAtOnce;
    const outcome = await places.take({ ...place(tenant), amount: { least, wanted, most } });
    if (outcome.kind === 'over limit')
      throw overLimit('liveCallsAtOnce', { limit: most, used: outcome.used + share.calls });
    share.reserved = outcome.amount;
  };

  const timer = setInterval(() => {
    // When Redis is away, the next turn keeps or gives them back.
    for (const [tenant, share] of shares)
      if (share.calls > 0) reserve(tenant, share, share.calls, share.calls + reserveAtOnce).catch(() => {});
      else {
        shares.delete(tenant);
        places.giveBack(place(tenant)).catch(() => {});
      }
  }, keepPlaceEveryMs);

  return {
    /** Takes a place; resolves with the function that gives it back. Throws ApiError 429 `too_many_live_calls`. */
    async take(tenant: string): Promise<() => void> {
      const share = shares.get(tenant) ?? { calls: 0, reserved: 0 };
      shares.set(tenant, share);
      while (share.calls >= share.reserved) {
        share.reserving ??= reserve(tenant, share, share.calls + 1, share.calls + reserveAtOnce).finally(() => {
          share.reserving = undefined;
        });
        await share.reserving;
      }
      share.calls++;
      return () => void share.calls--;
    },
    close: (): void => clearInterval(timer),
  };
};

export type LivePlaces = ReturnType<typeof createLivePlaces>;
