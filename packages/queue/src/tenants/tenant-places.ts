import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys, PlaceKind } from '../keys.ts';

const takePlace = defineScript<
  [places: string, reservedBytes: string, storedBytes: string],
  [
    id: string,
    lastsMs: number,
    mostPlaces: number | '',
    leastBytes: number,
    wantedBytes: number,
    mostBytes: number | '',
  ],
  ['taken' | 'places' | 'bytes', number]
>(new URL('./take-place.lua', import.meta.url));

export interface WantedPlace {
  readonly tenant: string;
  readonly kind: Exclude<PlaceKind, 'calls'>;
  readonly id: string;
  /** Most places of this kind. Undefined: no limit, as for a place that is taken already. */
  readonly most?: number | undefined;
  /** Bytes for an upload: at least, and if there is room; most of all files and uploads together. */
  readonly bytes?: { readonly least: number; readonly wanted: number; readonly most: number } | undefined;
}

export type PlaceOutcome =
  /** With the bytes that are reserved. */
  | { readonly kind: 'taken'; readonly bytes: number }
  /** What is over its limit, and how much of it others use. */
  | { readonly kind: 'over limit'; readonly what: 'places' | 'bytes'; readonly used: number };

/** A place that its process does not keep becomes free after this time. */
const lastsMs = 30_000;
/** How often a place must be kept, so that it is not lost in a short outage of Redis. */
export const keepPlaceEveryMs = 10_000;

/** The places of each tenant for what goes on for a while, all processes together. */
export const createTenantPlaces = (redis: RedisConnection, keys: Keys) => ({
  /** Takes a place. Done again in time, it keeps the place, and changes the bytes that are reserved. */
  async take({ tenant, kind, id, most, bytes }: WantedPlace): Promise<PlaceOutcome> {
    const [outcome, count] = await takePlace(
      redis,
      [keys.places(tenant, kind), keys.reservedBytes(tenant), keys.storedBytes(tenant)],
      [id, lastsMs, most ?? '', bytes?.least ?? 0, bytes?.wanted ?? 0, bytes?.most ?? ''],
    );
    return outcome === 'taken' ? { kind: 'taken', bytes: count } : { kind: 'over limit', what: outcome, used: count };
  },

  async giveBack({ tenant, kind, id }: Pick<WantedPlace, 'tenant' | 'kind' | 'id'>): Promise<void> {
    await Promise.all([
      redis.zrem(keys.places(tenant, kind), id),
      ...(kind === 'uploads' ? [redis.hdel(keys.reservedBytes(tenant), id)] : []),
    ]);
  },
});

export type TenantPlaces = ReturnType<typeof createTenantPlaces>;
