import { type BatchUsage, newShardState, type RequestStatus, type Shard, type ShardState } from '@promptmill/core';
import type { Cursor } from '../batches/batch-record.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys } from '../keys.ts';
import { countUsage, dayOf } from '../usage/usage-records.ts';

const at = (name: string): URL => new URL(`./${name}.lua`, import.meta.url);
const planShards = defineScript<
  [batch: string, handedOffBits: string, shards: string],
  [requests: number, bits: Buffer, ...plans: string[]],
  0 | 1
>(at('plan-shards'));
const putShard = defineScript<
  [batch: string, shards: string],
  [number: number, before: string, after: string, open: number, returning: number],
  0 | 1
>(at('put-shard'));
const commitHandedOff = defineScript<
  [batch: string, settledBits: string, handedOffBits: string, segments: string, usage: string],
  [segment: string, model: string, ...results: (string | number)[]],
  number
>(at('commit-handed-off'), countUsage);
const returnRequests = defineScript<
  [batch: string, handedOffBits: string, shards: string],
  [number: number, before: string, after: string, returning: number, positions: string, ...requests: number[]],
  'moved' | 'halted' | 'overtaken'
>(at('return-requests'));

/** A shard as it was read. */
export interface ReadShard {
  readonly plan: Shard;
  readonly state: ShardState;
  /** The state's text, by which a change finds out whether another process has changed it. */
  readonly text: string;
}

/** A result of a batch API, in a segment. */
export interface CommittedResult {
  readonly index: number;
  readonly status: RequestStatus;
  /** What it cost, in billionths of a dollar; undefined when that is unknown. */
  readonly nanoUsd: number | undefined;
  readonly usage: BatchUsage;
  /** Characters of the request's texts. */
  readonly inputCharacters: number;
}

/** What a change of status adds to the batch's numbers of open and of returning shards. */
const addedBy = (from: ShardState['status'], to: ShardState['status']): { open: number; returning: number } => {
  const is = (status: ShardState['status'], wanted: ShardState['status']): number => (status === wanted ? 1 : 0);
  return { open: is(to, 'open') - is(from, 'open'), returning: is(to, 'returning') - is(from, 'returning') };
};

/** Which requests of a batch are handed off to a provider's batch API, and how far their shards are. */
export const createShards = (redis: RedisConnection, keys: Keys, now: () => number = Date.now) => {
  const decode = (plan: string, state: string | null | undefined): ReadShard => ({
    plan: JSON.parse(plan) as Shard,
    state: state ? (JSON.parse(state) as ShardState) : newShardState,
    text: state ?? '',
  });

  return {
    /**
     * Notes which requests are handed off, once and before the batch's first request is dispatched. None at all is noted
     * too.
     *
     * @param bits one for each request, in Redis's bit order
     */
    async plan(id: string, plans: readonly Shard[], bits: Buffer): Promise<void> {
      const requests = plans.reduce((sum, plan) => sum + plan.requests, 0);
      const texts = plans.map((plan) => JSON.stringify(plan));
      await planShards(redis, [keys.batch(id), keys.handedOffBits(id), keys.shards(id)], [requests, bits, ...texts]);
    },

    /** Undefined when there is no such shard. */
    async get(id: string, number: number): Promise<ReadShard | undefined> {
      const [plan, state] = await redis.hmget(keys.shards(id), String(number), `${number}:state`);
      return plan ? decode(plan, state) : undefined;
    },

    /** All shards of a batch, by their numbers. */
    async list(id: string): Promise<ReadShard[]> {
      const fields = await redis.hgetall(keys.shards(id));
      return Object.keys(fields)
        .filter((field) => !field.includes(':'))
        .map((field) => decode(fields[field] ?? '', fields[`${field}:state`]))
        .sort((a, b) => a.plan.number - b.plan.number);
    },

    /** Changes a shard's state. Undefined when another process has changed it since it was read. */
    async put(id: string, { plan, state, text }: ReadShard, next: ShardState): Promise<ReadShard | undefined> {
      const { open, returning } = addedBy(state.status, next.status);
      const after = JSON.stringify(next);
      const isPut = await putShard(
        redis,
        [keys.batch(id), keys.shards(id)],
        [plan.number, text, after, open, returning],
      );
      return isPut === 1 ? { plan, state: next, text: after } : undefined;
    },

    /**
     * Counts the results in a published segment, each request once. Undefined when the batch takes no more results.
     *
     * @param model as `provider/model`
     */
    async commit(
      { id, tenant }: { readonly id: string; readonly tenant: string },
      segment: string,
      model: string,
      results: readonly CommittedResult[],
    ): Promise<number | undefined> {
      const counted = await commitHandedOff(
        redis,
        [
          keys.batch(id),
          keys.settledBits(id),
          keys.handedOffBits(id),
          keys.segments(id),
          keys.usage(tenant, dayOf(now())),
        ],
        [
          segment,
          model,
          ...results.flatMap(({ index, status, nanoUsd, usage, inputCharacters }) => [
            index,
            status,
            nanoUsd ?? '-',
            usage.inputTokens,
            usage.cachedTokens,
            usage.outputTokens,
            usage.reasoningTokens,
            inputCharacters,
          ]),
        ],
      );
      return counted < 0 ? undefined : counted;
    },

    /**
     * Notes that requests of a returning shard have jobs.
     *
     * @param positions the batch's, in each lane
     */
    returned(
      id: string,
      { plan, state, text }: ReadShard,
      next: ShardState,
      requests: readonly { readonly index: number; readonly bytes: number }[],
      positions: Cursor['positions'],
    ): Promise<'moved' | 'halted' | 'overtaken'> {
      const { returning } = addedBy(state.status, next.status);
      return returnRequests(
        redis,
        [keys.batch(id), keys.handedOffBits(id), keys.shards(id)],
        [
          plan.number,
          text,
          JSON.stringify(next),
          returning,
          JSON.stringify(positions),
          ...requests.flatMap(({ index, bytes }) => [index, bytes]),
        ],
      );
    },
  };
};

export type Shards = ReturnType<typeof createShards>;
