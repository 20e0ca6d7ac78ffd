import { backoffDelayMs, type Delivery, type DeliveryError } from '@promptmill/core';
import type { Deliveries, DeliveryJob } from '@promptmill/queue';
import type { Logger, Metrics, PassFailPoint } from '@promptmill/runtime';
import { DelayedError, type Job } from 'bullmq';
import type { DeliveryPlaces } from './delivery-places.ts';
import type { FindTarget } from './find-target.ts';
import type { SendEvent } from './send-event.ts';

export interface DeliverOptions {
  readonly deliveries: Deliveries;
  readonly findTarget: FindTarget;
  readonly send: SendEvent;
  readonly places: DeliveryPlaces;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'webhookDeliveries'>;
  readonly passFailPoint: PassFailPoint;
  readonly now: () => number;
  /** In [0, 1). */
  readonly random: () => number;
}

/** A round of a delivery is given up after this time. */
const giveUpAfterMs = 86_400_000;
/** The pause after the first attempt is 5 to 10 s; it doubles from there, up to an hour. */
const backoff = { attempts: Infinity, baseDelayMs: 10_000, maxDelayMs: 3_600_000 };

/**
 * Makes one attempt of a delivery. When it fails, the job puts itself off, until a day is over; then the delivery is dead.
 * The receiver may get an event twice: when its answer is lost, or the process dies before it has noted the answer.
 */
export const createDeliver = (options: DeliverOptions) => {
  const { deliveries, findTarget, send, places, logger, metrics, passFailPoint, now, random } = options;

  const putOff = async (job: Job<DeliveryJob>, atMs: number): Promise<never> => {
    await job.moveToDelayed(Math.round(atMs), job.token);
    throw new DelayedError();
  };

  /** Notes a failed attempt. Resolves with the time of the next; undefined when there is none. */
  const noteFailure = async (tenant: string, delivery: Delivery, error: DeliveryError): Promise<number | undefined> => {
    const { id, webhookId, attempts, sinceMs } = delivery;
    // Half of each delay is fixed, so that a receiver gets time to come back.
    const delayMs = backoffDelayMs(backoff, attempts + 1, 0.5 + random() / 2);
    const nextMs = now() + delayMs;
    const isDead = nextMs >= sinceMs + giveUpAfterMs;
    const outcome = isDead ? ({ status: 'dead', error } as const) : ({ status: 'pending', error, nextMs } as const);
    await deliveries.noteAttempt(tenant, delivery, outcome, now());
    metrics.webhookDeliveries.inc({ outcome: isDead ? 'dead' : 'failed' });
    if (!isDead) return nextMs;
    const { type, batchId } = delivery.event;
    logger.warn(
      { tenant, webhook: webhookId, delivery: id, type, batch: batchId, ...error },
      'a webhook got no answer',
    );
    return undefined;
  };

  const attempt = async (tenant: string, job: Job<DeliveryJob>): Promise<void> => {
    const delivery = await deliveries.get(tenant, job.data.deliveryId);
    if (delivery?.status !== 'pending' || delivery.round !== job.data.round) return;
    const target = await findTarget(tenant, delivery.webhookId);
    if (!target) {
      await deliveries.remove(tenant, delivery);
      metrics.webhookDeliveries.inc({ outcome: 'dropped' });
      return;
    }
    const outcome = await send({ ...target, event: delivery.event });
    if (outcome.kind === 'given up') return putOff(job, now());
    passFailPoint('event-sent');
    if (outcome.kind === 'failed') {
      const nextMs = await noteFailure(tenant, delivery, outcome.error);
      return nextMs === undefined ? undefined : putOff(job, nextMs);
    }
    await deliveries.noteAttempt(tenant, delivery, { status: 'delivered' }, now());
    metrics.webhookDeliveries.inc({ outcome: 'delivered' });
  };

  return async (job: Job<DeliveryJob>): Promise<void> => {
    const { tenant } = job.data;
    const place = places.take(tenant, job.id ?? '', random());
    if (typeof place === 'number') return putOff(job, now() + place);
    try {
      await attempt(tenant, job);
    } finally {
      place();
    }
  };
};
