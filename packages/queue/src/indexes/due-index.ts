import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';

/** Something that is kept for a limited time. */
export type Kept =
  | { readonly kind: 'file' | 'upload'; readonly tenant: string; readonly id: string }
  | { readonly kind: 'batch'; readonly id: string };

const memberOf = (kept: Kept): string =>
  kept.kind === 'batch' ? `batch ${kept.id}` : `${kept.kind} ${kept.tenant} ${kept.id}`;

const parseMember = (member: string): Kept => {
  const [kind = '', first = '', id = ''] = member.split(' ');
  return kind === 'file' || kind === 'upload' ? { kind, tenant: first, id } : { kind: 'batch', id: first };
};

/** Until when files, uploads and batches are kept, sorted by time, so that finding the due ones does not read all. */
export const createDueIndex = (redis: RedisConnection, keys: Keys) => ({
  /** Setting it again moves the time. */
  async set(kept: Kept, dueAtMs: number): Promise<void> {
    await redis.zadd(keys.due, dueAtMs, memberOf(kept));
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
