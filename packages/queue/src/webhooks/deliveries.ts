import {
  type Delivery,
  type DeliveryError,
  type DeliveryStatus,
  deliveryIdOf,
  deliveryStatuses,
  type WebhookEvent,
} from '@promptmill/core';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Page } from '../indexes/created-index.ts';
import type { Keys } from '../keys.ts';

const at = (name: string): URL => new URL(`./${name}.lua`, import.meta.url);
type DeliveryKeys = [delivery: string, all: string, pending: string, pendingOfTenant: string];
const addDelivery = defineScript<
  DeliveryKeys,
  [id: string, fixed: string, nowMs: number, keepSeconds: number],
  [status: DeliveryStatus, round: number, ahead: number]
>(at('add-delivery'));
const noteAttempt = defineScript<
  [...DeliveryKeys, ofStatus: string],
  [
    id: string,
    round: number,
    status: DeliveryStatus,
    nowMs: number,
    nextMs: number | '',
    error: string,
    most: number,
    keepSeconds: number,
    keyStart: string,
  ],
  'noted' | 'stale'
>(at('note-attempt'));
const resendDelivery = defineScript<
  [...DeliveryKeys, delivered: string, dead: string],
  [id: string, nowMs: number, keepSeconds: number],
  [round: number, ahead: number] | null
>(at('resend-delivery'));
const removeDelivery = defineScript<string[], [id: string], null>(at('remove-delivery'));

/** How many delivered ones, and how many dead ones, each webhook keeps. */
const keptOfEach = 100;
const keepSeconds = 30 * 86_400;

/** How an attempt has ended. */
export type AttemptOutcome =
  | { readonly status: 'delivered' }
  | { readonly status: 'dead'; readonly error: DeliveryError }
  | { readonly status: 'pending'; readonly error: DeliveryError; readonly nextMs: number };

/** The round of a delivery that is under way. */
export interface DeliveryRound {
  readonly round: number;
  /** How many other deliveries of the tenant are under way. */
  readonly ahead: number;
}

/** The deliveries of each tenant's events. A webhook keeps the newest for 30 days. */
export const createDeliveries = (redis: RedisConnection, keys: Keys) => {
  const keysOf = (tenant: string, webhookId: string, id: string): DeliveryKeys => [
    keys.delivery(tenant, id),
    keys.deliveries(tenant, webhookId, 'all'),
    keys.deliveries(tenant, webhookId, 'pending'),
    keys.pendingDeliveries(tenant),
  ];

  const get = async (tenant: string, id: string): Promise<Delivery | undefined> => {
    const { fixed, status, round, since, attempts, last, next, error } = await redis.hgetall(keys.delivery(tenant, id));
    if (fixed === undefined) return undefined;
    return {
      id,
      ...(JSON.parse(fixed) as Pick<Delivery, 'webhookId' | 'event'>),
      status: status as DeliveryStatus,
      round: Number(round),
      sinceMs: Number(since),
      attempts: Number(attempts ?? 0),
      ...(last === undefined ? {} : { lastAttemptMs: Number(last) }),
      ...(next === undefined ? {} : { nextAttemptMs: Number(next) }),
      ...(error === undefined ? {} : { lastError: JSON.parse(error) as DeliveryError }),
    };
  };

  const remove = async (tenant: string, { id, webhookId }: Pick<Delivery, 'id' | 'webhookId'>): Promise<void> => {
    const indexes = deliveryStatuses.map((status) => keys.deliveries(tenant, webhookId, status));
    await removeDelivery(redis, [...keysOf(tenant, webhookId, id), ...indexes], [id]);
  };

  return {
    get,

    /** Begins the delivery of an event, or finds it. Resolves with its round; undefined when it has ended already. */
    async add(
      tenant: string,
      webhookId: string,
      event: WebhookEvent,
      nowMs: number,
    ): Promise<(DeliveryRound & { readonly id: string }) | undefined> {
      const id = deliveryIdOf(event.id, webhookId);
      const fixed = JSON.stringify({ webhookId, event });
      const [status, round, ahead] = await addDelivery(redis, keysOf(tenant, webhookId, id), [
        id,
        fixed,
        nowMs,
        keepSeconds,
      ]);
      return status === 'pending' ? { id, round, ahead } : undefined;
    },

    /** Notes how an attempt has ended, unless the round is over. */
    async noteAttempt(
      tenant: string,
      { id, webhookId, round }: Pick<Delivery, 'id' | 'webhookId' | 'round'>,
      outcome: AttemptOutcome,
      nowMs: number,
    ): Promise<void> {
      const { status } = outcome;
      await noteAttempt(
        redis,
        [...keysOf(tenant, webhookId, id), keys.deliveries(tenant, webhookId, status)],
        [
          id,
          round,
          status,
          nowMs,
          outcome.status === 'pending' ? outcome.nextMs : '',
          outcome.status === 'delivered' ? '' : JSON.stringify(outcome.error),
          keptOfEach,
          keepSeconds,
          keys.delivery(tenant, ''),
        ],
      );
    },

    /**
     * Begins another round of a delivery that has ended, and resolves with it; that of a pending one stays. Undefined when
     * there is no such delivery.
     */
    async resend(
      tenant: string,
      { id, webhookId }: Pick<Delivery, 'id' | 'webhookId'>,
      nowMs: number,
    ): Promise<DeliveryRound | undefined> {
      const ended = (['delivered', 'dead'] as const).map((status) => keys.deliveries(tenant, webhookId, status));
      const [delivered = '', dead = ''] = ended;
      const begun = await resendDelivery(
        redis,
        [...keysOf(tenant, webhookId, id), delivered, dead],
        [id, nowMs, keepSeconds],
      );
      return begun ? { round: begun[0], ahead: begun[1] } : undefined;
    },

    remove,

    /** Removes the deliveries of a webhook. Those under way end at their next attempt. */
    async removeAll(tenant: string, webhookId: string): Promise<void> {
      for (;;) {
        const ids = await redis.zrange(keys.deliveries(tenant, webhookId, 'all'), '0', '99');
        if (ids.length === 0) return;
        await Promise.all(ids.map((id) => remove(tenant, { id, webhookId })));
      }
    },

    /** Newest first; undefined when `after` is no delivery of this webhook. */
    async list(
      tenant: string,
      webhookId: string,
      options: { after?: string | undefined; limit: number; status?: DeliveryStatus | undefined },
    ): Promise<Page<Delivery> | undefined> {
      const { after, limit, status = 'all' } = options;
      const all = keys.deliveries(tenant, webhookId, 'all');
      const score = after === undefined ? '+inf' : await redis.zscore(all, after);
      if (score === null) return undefined;
      const before = after === undefined ? score : `(${score}`;
      const index = keys.deliveries(tenant, webhookId, status);
      const ids = await redis.zrevrangebyscore(index, before, '-inf', 'LIMIT', 0, limit + 1);
      const items = await Promise.all(ids.slice(0, limit).map((id) => get(tenant, id)));
      return { items: items.filter((item) => item !== undefined), hasMore: ids.length > limit };
    },
  };
};

export type Deliveries = ReturnType<typeof createDeliveries>;
