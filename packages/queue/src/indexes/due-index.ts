import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';

/** What is kept for a time only. */
export type Kept =
  | { readonly kind: 'file'; readonly tenant: string; readonly id: string }
  | { readonly kind: 'batch'; readonly id: string };

const memberOf = (kept: Kept): string => (kept.kind === 'file' ? `file ${kept.tenant} ${kept.id}` : `batch ${kept.id}`);

const parseMember = (member: string): Kept => {
  const [kind = '', first = '', id = ''] = member.split(' ');
  return kind === 'file' ? { kind: 'file', tenant: first, id } : { kind: 'batch', id: first };
};

/** Until when files and batches are kept, by time: what is due is found without looking at all there is. */
export const createDueIndex = (redis: RedisConnection, keys: Keys) => ({
  /** Noting it again moves the time. */
  async set(kept: Kept, dueAtMs: number): Promise<void> {
    await redis.zadd(keys.due, dueAtMs, memberOf(kept));
  },
  async remove(kept: Kept): Promise<void> {
    await redis.zrem(keys.due, memberOf(kept));
  },
  /** The first `limit` that are due, the longest due first. */
  async upTo(nowMs: number, limit: number): Promise<Kept[]> {
    const members = await redis.zrangebyscore(keys.due, '-inf', nowMs, 'LIMIT', 0, limit);
    return members.map(parseMember);
  },
});

export type DueIndex = ReturnType<typeof createDueIndex>;
