import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys, PlaceKind } from '../keys.ts';

const takePlace = defineScript<
  [places: string, reserved: string, stored: string],
  [id: string, lastsMs: number, mostPlaces: number | '', least: number, wanted: number, most: number | ''],
  ['taken' | 'places' | 'amount', number]
>(new URL('./take-place.lua', import.meta.url));

export interface WantedPlace {
  readonly tenant: string;
  readonly kind: Exclude<PlaceKind, 'calls'>;
  readonly id: string;
  /** Most places of this kind. Undefined: no limit, as for a place that is taken already. */
  readonly most?: number | undefined;
  /**
   * What is reserved with the place: bytes for an upload, calls for an api process that holds live calls. At least, and if
   * there is room; most of all places, and of what is stored, together.
   */
  readonly amount?: { readonly least: number; readonly wanted: number; readonly most: number } | undefined;
}

export type PlaceOutcome =
  /** With what is reserved. */
  | { readonly kind: 'taken'; readonly amount: number }
  /** What is over its limit, and how much of it others use. */
  | { readonly kind: 'over limit'; readonly what: 'places' | 'amount'; readonly used: number };

/** A place that its process does not keep becomes free after this time. */
const lastsMs = 30_000;
/** How often a place must be kept, so that it is not lost in a short outage of Redis. */
export const keepPlaceEveryMs = 10_000;

/** The places of each tenant for what goes on for a while, all processes together. */
export const createTenantPlaces = (redis: RedisConnection, keys: Keys) => ({
  /** Takes a place. Done again in time, it keeps the place, and changes what is reserved. */
  async take({ tenant, kind, id, most, amount }: WantedPlace): Promise<PlaceOutcome> {
    const reserved = kind === 'live-calls' ? keys.reservedLiveCalls(tenant) : keys.reservedBytes(tenant);
    const stored = kind === 'live-calls' ? keys.noLiveCalls(tenant) : keys.storedBytes(tenant);
    const [outcome, count] = await takePlace(
      redis,
      [keys.places(tenant, kind), reserved, stored],
      [id, lastsMs, most ?? '', amount?.least ?? 0, amount?.wanted ?? 0, amount?.most ?? ''],
    );
    return outcome === 'taken' ? { kind: 'taken', amount: count } : { kind: 'over limit', what: outcome, used: count };
  },

  async giveBack({ tenant, kind, id }: Pick<WantedPlace, 'tenant' | 'kind' | 'id'>): Promise<void> {
    await Promise.all([
      redis.zrem(keys.places(tenant, kind), id),
      ...(kind === 'uploads' ? [redis.hdel(keys.reservedBytes(tenant), id)] : []),
      ...(kind === 'live-calls' ? [redis.hdel(keys.reservedLiveCalls(tenant), id)] : []),
    ]);
  },
});

export type TenantPlaces = ReturnType<typeof createTenantPlaces>;
