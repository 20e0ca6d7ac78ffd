import {
  deliveryStatuses,
  isWebhookSecret,
  maxWebhookUrlLength,
  webhookEventTypes,
  webhookSecretRule,
} from '@promptmill/core';
import { z } from 'zod';
import { boundedArray, page, queryInteger, seconds } from '../api-schemas.ts';

/** Whether it may be used is checked where the configuration is known. */
export const webhookUrl = z
  .string()
  .max(maxWebhookUrlLength)
  .meta({
    description:
      'Where events are posted: `https`, without a login, and in no private network. An incoming webhook of Slack or ' +
      'Discord gets a text instead.',
    example: 'https://example.com/promptmill',
  });

/** A secret that the caller chooses. */
export const webhookSecret = z
  .string()
  .max(128)
  .refine(isWebhookSecret, { error: `it must be ${webhookSecretRule}` })
  .meta({ description: `Signs the events, as Standard Webhooks has it: ${webhookSecretRule}.` });

const events = boundedArray(z.enum(webhookEventTypes), webhookEventTypes.length).meta({
  description:
    'What it is told of. `batch.paused`: a limit of the cost is reached. `batch.stalled`: a lane of the batch has been ' +
    'held for five minutes.',
  override: { type: 'array', minItems: 1, items: { type: 'string', enum: [...webhookEventTypes] } },
});
const description = z.string().max(256);

export const createWebhookBody = z
  .strictObject({ url: webhookUrl, events, description: description.nullish() })
  .meta({ id: 'CreateWebhook' });
export type CreateWebhookBody = z.output<typeof createWebhookBody>;

export const updateWebhookBody = z
  .strictObject({ url: webhookUrl.optional(), events: events.optional(), description: description.nullish() })
  .meta({ id: 'UpdateWebhook', description: 'What is left out stays as it is.' });
export type UpdateWebhookBody = z.output<typeof updateWebhookBody>;

const webhookFields = {
  id: z.string().meta({ example: 'wh_0123456789abcdef0123456789abcdef' }),
  object: z.literal('webhook'),
  url: z.string(),
  events: z.array(z.enum(webhookEventTypes)).readonly(),
  description: z.string().nullable(),
  created_at: seconds,
};

export const webhookObject = z.object(webhookFields).meta({ id: 'Webhook' });

export const webhookWithSecret = z
  .object({
    ...webhookFields,
    secret: z.string().meta({ description: 'Signs the events, as Standard Webhooks has it. It is not shown again.' }),
  })
  .meta({ id: 'WebhookWithSecret' });

export const webhookPage = page(webhookObject).meta({ id: 'WebhookList' });

export const deletedWebhook = z
  .object({ id: z.string(), object: z.literal('webhook'), deleted: z.literal(true) })
  .meta({ id: 'DeletedWebhook' });

export const webhookParams = z.object({ webhook_id: z.string() });
export type WebhookParams = z.output<typeof webhookParams>;

const ofWebhookOrBatch = z.string().meta({ description: 'The id of a webhook, or of a batch with a `webhook_url`.' });
export const deliveriesParams = z.object({ webhook_id: ofWebhookOrBatch });
export type DeliveriesParams = z.output<typeof deliveriesParams>;
export const deliveryParams = z.object({ webhook_id: ofWebhookOrBatch, delivery_id: z.string() });
export type DeliveryParams = z.output<typeof deliveryParams>;

export const deliveryQuery = z.object({
  after: z.string().optional().meta({ description: 'The id of the last delivery of the page before.' }),
  limit: queryInteger(1, 100, 20),
  status: z.enum(deliveryStatuses).optional().meta({ description: 'Default: all.' }),
});
export type DeliveryQuery = z.output<typeof deliveryQuery>;

export const deliveryObject = z
  .object({
    id: z.string().meta({ example: 'whd_0123456789abcdef0123456789abcdef' }),
    object: z.literal('webhook.delivery'),
    webhook_id: z.string(),
    event: z
      .object({
        id: z.string().meta({ description: 'The `webhook-id` of each attempt.' }),
        object: z.literal('event'),
        created_at: seconds,
        type: z.enum(webhookEventTypes),
        data: z.object({ id: z.string().meta({ description: 'The batch.' }) }),
      })
      .meta({ id: 'WebhookEvent' }),
    status: z.enum(deliveryStatuses).meta({ description: '`dead`: given up after a day of failures.' }),
    attempts: z.int().meta({ description: 'Since it was sent on its way, or sent again.' }),
    last_attempt_at: seconds.nullable(),
    next_attempt_at: seconds.nullable(),
    last_error: z
      .object({ code: z.string(), message: z.string() })
      .nullable()
      .meta({ description: 'Why the last attempt failed.' }),
  })
  .meta({ id: 'WebhookDelivery' });

export const deliveryPage = page(deliveryObject).meta({ id: 'WebhookDeliveryList' });
