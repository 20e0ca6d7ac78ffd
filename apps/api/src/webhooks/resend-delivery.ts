import { ApiError, isDeliveryId, toDeliveryObject } from '@promptmill/core';
import { addDeliveryJob, promoteJob } from '@promptmill/queue';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { withinQueueTimeout } from '../redis-guard.ts';
import { findReceiver } from './find-webhook.ts';
import type { DeliveryParams } from './webhook-schemas.ts';

/** `POST …/deliveries/{delivery_id}/resend`: begins another round of one that has ended; one that waits is tried now. */
export const resendDelivery = (
  dependencies: Pick<ApiDependencies, 'redis' | 'webhooks' | 'batches' | 'deliveries' | 'webhooksQueue' | 'now'>,
) => {
  const { redis, deliveries, webhooksQueue: queue, now } = dependencies;
  return async ({ tenant, params }: Call<DeliveryParams>) => {
    const webhookId = await findReceiver(dependencies, tenant, params.webhook_id);
    const { delivery_id: id } = params;
    const known = isDeliveryId(id) ? await deliveries.get(tenant, id) : undefined;
    const begun = known?.webhookId === webhookId ? await deliveries.resend(tenant, known, now()) : undefined;
    const delivery = begun && (await deliveries.get(tenant, id));
    if (!begun || !delivery) throw new ApiError(404, `No such delivery: ${id}`, { param: 'id' });
    const { round, ahead } = begun;
    const name = `${tenant} ${delivery.event.type}`;
    await withinQueueTimeout(redis, addDeliveryJob(queue, name, { tenant, deliveryId: id, round }, ahead));
    await withinQueueTimeout(redis, promoteJob(queue, `${id}-${round}`));
    return toDeliveryObject(delivery);
  };
};
