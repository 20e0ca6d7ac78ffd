import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { findWebhook } from './find-webhook.ts';
import type { WebhookParams } from './webhook-schemas.ts';

/** `DELETE /v1/webhooks/{webhook_id}`: nothing more is sent to it. */
export const deleteWebhook = (dependencies: Pick<ApiDependencies, 'webhooks' | 'deliveries'>) => {
  const { webhooks, deliveries } = dependencies;
  return async ({ tenant, params }: Call<WebhookParams>) => {
    const { id } = await findWebhook(dependencies, tenant, params.webhook_id);
    await webhooks.remove(tenant, id);
    await deliveries.removeAll(tenant, id);
    return { id, object: 'webhook' as const, deleted: true as const };
  };
};
