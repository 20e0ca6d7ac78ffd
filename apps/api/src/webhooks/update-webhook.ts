import { toWebhookObject } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { checkWebhookUrl, findWebhook, noSuchWebhook } from './find-webhook.ts';
import type { UpdateWebhookBody, WebhookParams } from './webhook-schemas.ts';

/** `POST /v1/webhooks/{webhook_id}`: changes what the body names. */
export const updateWebhook = (dependencies: Pick<ApiDependencies, 'config' | 'webhooks'>) => {
  const { webhooks } = dependencies;
  return async ({ tenant, params, body }: Call<WebhookParams, unknown, UpdateWebhookBody>) => {
    const { id } = await findWebhook(dependencies, tenant, params.webhook_id);
    const { url, events, description } = body;
    checkWebhookUrl(dependencies, url, 'url');
    const changed = await webhooks.change(tenant, id, (webhook) => ({
      ...webhook,
      ...(url === undefined ? {} : { url }),
      ...(events === undefined ? {} : { events: [...new Set(events)] }),
      ...(description === undefined ? {} : { description }),
    }));
    if (!changed) throw noSuchWebhook(id);
    return toWebhookObject(changed);
  };
};
