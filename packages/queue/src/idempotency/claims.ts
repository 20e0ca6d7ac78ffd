import { createHash } from 'node:crypto';
import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';

/** `made` is what was made under the key: `fresh` when the key is new, else what it was first claimed with. */
export type ClaimOutcome<Made> =
  | { readonly kind: 'new' | 'repeated'; readonly made: Made }
  | { readonly kind: 'conflict' };

export interface NewClaim<Made> {
  readonly tenant: string;
  /** The client's `Idempotency-Key`. */
  readonly key: string;
  /** Tells one request from another under the same key. */
  readonly contentHash: string;
  readonly fresh: Made;
}

const releaseClaim = defineScript<[claim: string], [text: string], null>(
  new URL('./release-claim.lua', import.meta.url),
);

const defaultSeconds = 24 * 3600;

/**
 * Ties an idempotency key to what was made under it, so that repeated requests, even simultaneous ones, make it once.
 *
 * @param rememberSeconds how long a key is remembered; default 24 hours
 */
export const createClaims = <Made>(
  redis: RedisConnection,
  keys: Keys,
  kind: 'batch' | 'file' | 'live',
  rememberSeconds = defaultSeconds,
) => {
  const nameOf = (tenant: string, key: string): string =>
    keys.idempotency(tenant, kind, createHash('sha256').update(key).digest('hex'));
  const textOf = (contentHash: string, made: Made): string => JSON.stringify({ contentHash, made });

  return {
    async claim({ tenant, key, contentHash, fresh }: NewClaim<Made>): Promise<ClaimOutcome<Made>> {
      const name = nameOf(tenant, key);
      const earlier = await redis.set(name, textOf(contentHash, fresh), 'EX', rememberSeconds, 'NX', 'GET');
      if (earlier === null) return { kind: 'new', made: fresh };
      const claim = JSON.parse(earlier) as { readonly contentHash: string; readonly made: Made };
      return claim.contentHash === contentHash ? { kind: 'repeated', made: claim.made } : { kind: 'conflict' };
    },

    /** Frees a key, unless it is claimed for something else than `made` by now. */
    async release({ tenant, key, contentHash }: Omit<NewClaim<Made>, 'fresh'>, made: Made): Promise<void> {
      await releaseClaim(redis, [nameOf(tenant, key)], [textOf(contentHash, made)]);
    },
  };
};

export type Claims<Made> = ReturnType<typeof createClaims<Made>>;
