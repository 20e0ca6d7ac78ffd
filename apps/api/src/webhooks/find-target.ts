import { isBatchId, isWebhookId, type OperatorWebhook, secretsOf } from '@promptmill/core';
import type { BatchStore, WebhookRecords } from '@promptmill/queue';
import type { EventToSend } from './send-event.ts';

export interface FindTargetOptions {
  readonly webhooks: Pick<WebhookRecords, 'get'>;
  readonly batches: Pick<BatchStore, 'get'>;
  /** The operator's webhooks that are in force. */
  readonly operators: () => readonly OperatorWebhook[];
  readonly now: () => number;
}

export type FindTarget = (
  tenant: string,
  webhookId: string,
) => Promise<Pick<EventToSend, 'url' | 'secrets'> | undefined>;

/** The id under which the deliveries of an operator's webhook are kept. */
export const operatorsId = ({ name }: Pick<OperatorWebhook, 'name'>): string => `operator-${name}`;

/** Finds the present URL and secrets of a webhook by its id; undefined when it is gone, and so is what it would get. */
export const createFindTarget =
  ({ webhooks, batches, operators, now }: FindTargetOptions): FindTarget =>
  async (tenant, webhookId) => {
    if (isWebhookId(webhookId)) {
      const webhook = await webhooks.get(tenant, webhookId);
      return webhook && { url: webhook.url, secrets: secretsOf(webhook, now()) };
    }
    if (isBatchId(webhookId)) {
      const own = (await batches.get(webhookId))?.webhook;
      return own && { url: own.url, secrets: [own.secret] };
    }
    const found = operators().find((each) => operatorsId(each) === webhookId);
    return found && { url: found.url, secrets: found.secret === undefined ? [] : [found.secret] };
  };
