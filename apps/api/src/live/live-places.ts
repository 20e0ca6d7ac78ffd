import { ApiError, type Tenants } from '@promptmill/core';
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
  /** What their bodies take. */
  bytes: number;
  /** How many calls it may have. */
  reserved: number;
  /** Changes what is reserved. */
  changing?: Promise<void> | undefined;
}

/**
 * Places are reserved by so many, so that few calls wait for Redis. One in a hundred at most: what one process has
 * reserved and does not use, others cannot use.
 */
const aheadOf = (most: number): number => Math.min(100, Math.floor(most / 100));

/** The bodies of calls that wait are in Redis and in this process. What they may take in this process: */
const mostBytes = { ofTenant: 64 * 2 ** 20, ofAll: 256 * 2 ** 20 };

const tooManyBytes = { code: 'too_many_live_bytes', retryAfterSeconds: 1 };

/**
 * The places of live calls that wait, among those that each tenant may have in all api processes together, and the bytes
 * of their bodies, among those that this process may have.
 */
export const createLivePlaces = ({ api, places, limitsOf }: LivePlacesOptions) => {
  const shares = new Map<string, Share>();
  let bytesOfAll = 0;

  const place = (tenant: string) => ({ tenant, kind: 'live-calls', id: api }) as const;

  const reserve = async (tenant: string, share: Share, least: number): Promise<void> => {
    const most = limitsOf(tenant).liveCallsAtOnce;
    const amount = { least, wanted: least + aheadOf(most), most };
    const outcome = await places.take({ ...place(tenant), amount });
    if (outcome.kind === 'over limit')
      throw overLimit('liveCallsAtOnce', { limit: most, used: outcome.used + share.calls });
    share.reserved = outcome.amount;
  };

  /** Only one change is under way, and no call takes a place meanwhile: otherwise the change would not know of it. */
  const change = (share: Share, work: Promise<unknown>): Promise<void> => {
    share.changing = work
      .then(() => {})
      .finally(() => {
        share.changing = undefined;
      });
    return share.changing;
  };

  /** Keeps the places of the calls that wait, also when the limit was lowered, and gives back what is not used. */
  const keep = async (tenant: string, share: Share): Promise<void> => {
    try {
      await reserve(tenant, share, share.calls);
    } catch (error) {
      // When Redis is away, the next turn keeps them.
      if (error instanceof ApiError) await places.take(place(tenant)).catch(() => {});
    }
  };

  const giveBackUnused = async (tenant: string, share: Share): Promise<void> => {
    const isMuch = (): boolean => share.reserved - share.calls > 2 * aheadOf(limitsOf(tenant).liveCallsAtOnce);
    while (isMuch() && share.changing) await share.changing.catch(() => {});
    if (isMuch()) await change(share, keep(tenant, share));
  };

  const timer = setInterval(() => {
    for (const [tenant, share] of shares) {
      if (share.changing) continue;
      if (share.calls > 0) void change(share, keep(tenant, share));
      else {
        shares.delete(tenant);
        places.giveBack(place(tenant)).catch(() => {});
      }
    }
  }, keepPlaceEveryMs);

  const addBytes = (share: Share, bytes: number): void => {
    share.bytes += bytes;
    bytesOfAll += bytes;
  };

  /** Throws where the bytes of one call more would be too many. */
  const checkBytes = (share: Share, bytes: number): void => {
    if (share.bytes + bytes > mostBytes.ofTenant)
      throw new ApiError(
        429,
        `The bodies of your live calls that wait may take ${mostBytes.ofTenant} bytes; they take ${share.bytes}, and this one would take ${bytes}. Wait for some of the answers.`,
        tooManyBytes,
      );
    if (bytesOfAll + bytes > mostBytes.ofAll)
      throw new ApiError(503, 'The bodies of live calls that wait take too much memory. Try again.', tooManyBytes);
  };

  return {
    /**
     * Takes a place for a call with a body of so many bytes; resolves with the function that gives it back. Throws ApiError
     * 429 `too_many_live_calls` or `too_many_live_bytes`; 503 `too_many_live_bytes` when other tenants' calls take all.
     */
    async take(tenant: string, bytes: number): Promise<() => void> {
      const share = shares.get(tenant) ?? { calls: 0, bytes: 0, reserved: 0 };
      shares.set(tenant, share);
      checkBytes(share, bytes);
      addBytes(share, bytes);
      try {
        while (share.changing || share.calls >= share.reserved)
          await (share.changing ?? change(share, reserve(tenant, share, share.calls + 1)));
      } catch (error) {
        addBytes(share, -bytes);
        throw error;
      }
      share.calls++;
      return () => {
        share.calls--;
        addBytes(share, -bytes);
        void giveBackUnused(tenant, share);
      };
    },
    close: (): void => clearInterval(timer),
  };
};

export type LivePlaces = ReturnType<typeof createLivePlaces>;
