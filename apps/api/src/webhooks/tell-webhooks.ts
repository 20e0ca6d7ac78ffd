import { type Batch, type OperatorWebhook, type WebhookEvent } from '@promptmill/core';
import { addDeliveryJob, type Deliveries, type DeliveryJob, type WebhookRecords } from '@promptmill/queue';
import type { PassFailPoint } from '@promptmill/runtime';
import type { Queue } from 'bullmq';
import { createSeenBatches } from '../seen-batches.ts';
import { operatorsId } from './find-target.ts';

export interface TellWebhooksOptions {
  readonly webhooks: Pick<WebhookRecords, 'list'>;
  readonly deliveries: Pick<Deliveries, 'add'>;
  readonly queue: Queue<DeliveryJob>;
  /** The operator's webhooks that are in force. */
  readonly operators: () => readonly OperatorWebhook[];
  readonly passFailPoint: PassFailPoint;
  readonly now: () => number;
}

const isTold = ({ events, tenants, missingVariable }: OperatorWebhook, tenant: string, { type }: WebhookEvent) =>
  missingVariable === undefined && events.includes(type) && (tenants === undefined || tenants.includes(tenant));

/**
 * Puts an event of a batch on its way to each URL that is to get it. Doing it again changes nothing, so whoever notices an
 * event repeats this until it has succeeded.
 */
export const createTellWebhooks =
  ({ webhooks, deliveries, queue, operators, passFailPoint, now }: TellWebhooksOptions) =>
  async ({ id, tenant, webhook }: Pick<Batch, 'id' | 'tenant' | 'webhook'>, event: WebhookEvent): Promise<void> => {
    const ofTenant = (await webhooks.list(tenant)).filter(({ events }) => events.includes(event.type));
    const ofOperator = operators().filter((each) => isTold(each, tenant, event));
    const ids = [...(webhook ? [id] : []), ...ofTenant.map((each) => each.id), ...ofOperator.map(operatorsId)];
    await Promise.all(
      ids.map(async (webhookId) => {
        const begun = await deliveries.add(tenant, webhookId, event, now());
        if (!begun) return;
        passFailPoint('event-noted');
        const { id: deliveryId, round, ahead } = begun;
        await addDeliveryJob(queue, `${tenant} ${event.type}`, { tenant, deliveryId, round }, ahead);
        passFailPoint('event-queued');
      }),
    );
  };

export type TellWebhooks = ReturnType<typeof createTellWebhooks>;

/** Tells an event once for as long as this process remembers it, where it is noticed again and again. */
export const createTellOnce = (tell: TellWebhooks): TellWebhooks => {
  const told = createSeenBatches<true>();
  return async (batch, event) => {
    if (told.get(event.id)) return;
    await tell(batch, event);
    told.note(event.id, true);
  };
};
