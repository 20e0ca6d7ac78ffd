import { newWebhookSecret, toWebhookObject } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { findWebhook, noSuchWebhook } from './find-webhook.ts';
import type { WebhookParams } from './webhook-schemas.ts';

const oldSecretLastsMs = 86_400_000;

/** `POST /v1/webhooks/{webhook_id}/rotate`: a new secret, which is shown this once. The old one signs for another day. */
export const rotateSecret = (dependencies: Pick<ApiDependencies, 'webhooks' | 'now'>) => {
  const { webhooks, now } = dependencies;
  return async ({ tenant, params }: Call<WebhookParams>) => {
    const { id } = await findWebhook(dependencies, tenant, params.webhook_id);
    const rotated = await webhooks.change(tenant, id, (webhook) => ({
      ...webhook,
      secret: newWebhookSecret(),
      oldSecret: { secret: webhook.secret, untilMs: now() + oldSecretLastsMs },
    }));
    if (!rotated) throw noSuchWebhook(id);
    return { ...toWebhookObject(rotated), secret: rotated.secret };
  };
};
