import type { Webhook } from '@promptmill/core';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys } from '../keys.ts';

const putWebhook = defineScript<
  [webhooks: string],
  [id: string, webhook: string, known: string, most: number],
  'put' | 'changed' | 'full'
>(new URL('./put-webhook.lua', import.meta.url));

const decode = (text: string): Webhook => JSON.parse(text) as Webhook;

/** The webhooks of each tenant. They are few, so one hash has all of a tenant. */
export const createWebhookRecords = (redis: RedisConnection, keys: Keys) => ({
  async get(tenant: string, id: string): Promise<Webhook | undefined> {
    const text = await redis.hget(keys.webhooks(tenant), id);
    return text === null ? undefined : decode(text);
  },

  /** Oldest first. */
  async list(tenant: string): Promise<Webhook[]> {
    const webhooks = (await redis.hvals(keys.webhooks(tenant))).map(decode);
    return webhooks.toSorted((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
  },

  /** @param most how many webhooks the tenant may have */
  async create(tenant: string, webhook: Webhook, most: number): Promise<'created' | 'full'> {
    const outcome = await putWebhook(redis, [keys.webhooks(tenant)], [webhook.id, JSON.stringify(webhook), '', most]);
    return outcome === 'put' ? 'created' : 'full';
  },

  /** Changes a webhook. Of two changes at the same time none is lost. Undefined when there is no such webhook. */
  async change(tenant: string, id: string, change: (webhook: Webhook) => Webhook): Promise<Webhook | undefined> {
    for (;;) {
      const known = await redis.hget(keys.webhooks(tenant), id);
      if (known === null) return undefined;
      const changed = change(decode(known));
      const outcome = await putWebhook(redis, [keys.webhooks(tenant)], [id, JSON.stringify(changed), known, 0]);
      if (outcome === 'put') return changed;
    }
  },

  /** Its deliveries end by themselves. */
  async remove(tenant: string, id: string): Promise<void> {
    await redis.hdel(keys.webhooks(tenant), id);
  },
});

export type WebhookRecords = ReturnType<typeof createWebhookRecords>;
