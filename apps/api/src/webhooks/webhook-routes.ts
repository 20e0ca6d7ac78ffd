import type { ApiDependencies } from '../dependencies.ts';
import { type AnyRoute, route } from '../route.ts';
import { createWebhook } from './create-webhook.ts';
import { deleteWebhook } from './delete-webhook.ts';
import { getWebhook } from './get-webhook.ts';
import { listDeliveries } from './list-deliveries.ts';
import { listWebhooks } from './list-webhooks.ts';
import { resendDelivery } from './resend-delivery.ts';
import { rotateSecret } from './rotate-secret.ts';
import { updateWebhook } from './update-webhook.ts';
import {
  createWebhookBody,
  deletedWebhook,
  deliveriesParams,
  deliveryObject,
  deliveryPage,
  deliveryParams,
  deliveryQuery,
  updateWebhookBody,
  webhookObject,
  webhookPage,
  webhookParams,
  webhookWithSecret,
} from './webhook-schemas.ts';

/** The routes of webhooks and their deliveries. */
export const createWebhookRoutes = (dependencies: ApiDependencies): AnyRoute[] => [
  route({
    method: 'post',
    path: '/v1/webhooks',
    summary: 'Create a webhook: a URL that is told of your batches',
    tag: 'Webhooks',
    audit: 'webhook.create',
    body: createWebhookBody,
    answer: { description: 'The webhook, with its secret.', schema: webhookWithSecret },
    handle: createWebhook(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/webhooks',
    summary: 'List webhooks',
    tag: 'Webhooks',
    answer: { description: 'All webhooks, oldest first.', schema: webhookPage },
    handle: listWebhooks(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/webhooks/{webhook_id}',
    summary: 'Retrieve a webhook',
    tag: 'Webhooks',
    params: webhookParams,
    answer: { description: 'The webhook.', schema: webhookObject },
    handle: getWebhook(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/webhooks/{webhook_id}',
    summary: 'Change a webhook; deliveries under way go to the new URL',
    tag: 'Webhooks',
    audit: 'webhook.update',
    params: webhookParams,
    body: updateWebhookBody,
    answer: { description: 'The webhook.', schema: webhookObject },
    handle: updateWebhook(dependencies),
  }),
  route({
    method: 'delete',
    path: '/v1/webhooks/{webhook_id}',
    summary: 'Delete a webhook, and its deliveries',
    tag: 'Webhooks',
    audit: 'webhook.delete',
    params: webhookParams,
    answer: { description: 'The webhook is gone.', schema: deletedWebhook },
    handle: deleteWebhook(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/webhooks/{webhook_id}/rotate',
    summary: 'Give a webhook a new secret; for a day the old one signs beside it',
    tag: 'Webhooks',
    audit: 'webhook.rotate',
    params: webhookParams,
    answer: { description: 'The webhook, with its new secret.', schema: webhookWithSecret },
    handle: rotateSecret(dependencies),
  }),
  route({
    method: 'get',
    path: '/v1/webhooks/{webhook_id}/deliveries',
    summary: 'List what was sent to a webhook: all that is pending, and the last 100 delivered and dead ones',
    tag: 'Webhooks',
    params: deliveriesParams,
    query: deliveryQuery,
    answer: { description: 'A page of deliveries, newest first.', schema: deliveryPage },
    handle: listDeliveries(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend',
    summary: 'Send an event again, now and for another day',
    tag: 'Webhooks',
    audit: 'webhook.resend',
    params: deliveryParams,
    answer: { description: 'The delivery, pending.', schema: deliveryObject },
    handle: resendDelivery(dependencies),
  }),
];
