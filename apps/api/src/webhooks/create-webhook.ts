import { ApiError, newWebhookId, newWebhookSecret, toWebhookObject, type Webhook } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { checkWebhookUrl } from './find-webhook.ts';
import type { CreateWebhookBody } from './webhook-schemas.ts';

const mostWebhooks = 20;

/** `POST /v1/webhooks`: a webhook with a new secret, which is shown this once. */
export const createWebhook = (dependencies: Pick<ApiDependencies, 'config' | 'webhooks' | 'now'>) => {
  const { webhooks, now } = dependencies;
  return async ({ tenant, body }: Call<unknown, unknown, CreateWebhookBody>) => {
    const { url, events, description = null } = body;
    checkWebhookUrl(dependencies, url, 'url');
    const webhook: Webhook = {
      id: newWebhookId(),
      url,
      events: [...new Set(events)],
      description,
      createdAt: Math.floor(now() / 1000),
      secret: newWebhookSecret(),
    };
    if ((await webhooks.create(tenant, webhook, mostWebhooks)) === 'full')
      throw new ApiError(429, `You have ${mostWebhooks} webhooks; no more are allowed. Delete one.`, {
        code: 'too_many_webhooks',
      });
    return { ...toWebhookObject(webhook), secret: webhook.secret };
  };
};
