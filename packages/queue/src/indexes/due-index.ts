import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';

/** Something that is kept for a limited time. */
export type Kept =
  | { readonly kind: 'file' | 'upload'; readonly tenant: string; readonly id: string }
  | { readonly kind: 'batch'; readonly id: string }
  /** The answers of kept calls that were moved into the file store in one hour. */
  | { readonly kind: 'answers'; readonly id: string };

const memberOf = (kept: Kept): string =>
  'tenant' in kept ? `${kept.kind} ${kept.tenant} ${kept.id}` : `${kept.kind} ${kept.id}`;

const parseMember = (member: string): Kept => {
  const [kind = '', first = '', id = ''] = member.split(' ');
  if (kind === 'file' || kind === 'upload') return { kind, tenant: first, id };
  return { kind: kind === 'answers' ? kind : 'batch', id: first };
};

/**
 * Until when files, uploads, batches and answers are kept, sorted by time, so that finding the due ones does not read all.
 */
export const createDueIndex = (redis: RedisConnection, keys: Keys) => ({
  /** Setting it again moves the time. */
  async set(kept: Kept, dueAtMs: number): Promise<void> {
    await redis.zadd(keys.due, dueAtMs, memberOf(kept));
  },
  /** Sets the time, unless a later one is set. */
  async extend(kept: Kept, dueAtMs: number): Promise<void> {
    await redis.zadd(keys.due, 'GT', dueAtMs, memberOf(kept));
  },
  async remove(kept: Kept): Promise<void> {
    await redis.zrem(keys.due, memberOf(kept));
  },
  /** The first `limit` entries that are due, the longest due first. */
  async upTo(nowMs: number, limit: number): Promise<Kept[]> {
    const members = await redis.zrangebyscore(keys.due, '-inf', nowMs, 'LIMIT', 0, limit);
    return members.map(parseMember);
  },
});

export type DueIndex = ReturnType<typeof createDueIndex>;
