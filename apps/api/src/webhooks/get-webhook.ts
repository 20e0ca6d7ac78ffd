import { toWebhookObject } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { findWebhook } from './find-webhook.ts';
import type { WebhookParams } from './webhook-schemas.ts';

/** `GET /v1/webhooks/{webhook_id}` */
export const getWebhook =
  (dependencies: Pick<ApiDependencies, 'webhooks'>) =>
  async ({ tenant, params }: Call<WebhookParams>) =>
    toWebhookObject(await findWebhook(dependencies, tenant, params.webhook_id));
