import { createHash } from 'node:crypto';
import { toEventObject, type WebhookEvent } from './webhook-event.ts';

/** `dead`: given up after a day of failures. */
export const deliveryStatuses = ['pending', 'delivered', 'dead'] as const;
export type DeliveryStatus = (typeof deliveryStatuses)[number];

/** Why an attempt failed. */
export interface DeliveryError {
  /** Such as `timeout`. */
  readonly code: string;
  /** For the webhook's owner to read. */
  readonly message: string;
}

/** One event on its way to one URL. */
export interface Delivery {
  readonly id: string;
  /** The id of the webhook, or of the batch whose own URL it is. */
  readonly webhookId: string;
  readonly event: WebhookEvent;
  readonly status: DeliveryStatus;
  /** 1, and one more each time it was sent again. */
  readonly round: number;
  /** When the present round began, in Unix milliseconds. */
  readonly sinceMs: number;
  /** Calls of the URL in this round. */
  readonly attempts: number;
  readonly lastAttemptMs?: number;
  /** Absent once it has ended. */
  readonly nextAttemptMs?: number;
  readonly lastError?: DeliveryError;
}

/** The same event and URL have one delivery, however often it is made. */
export const deliveryIdOf = (eventId: string, webhookId: string): string =>
  `whd_${createHash('sha256').update(`${eventId} ${webhookId}`).digest('hex').slice(0, 32)}`;

const secondsOf = (ms: number | undefined): number | null => (ms === undefined ? null : Math.floor(ms / 1000));

/** The delivery as the API shows it. */
export const toDeliveryObject = (delivery: Delivery) => {
  const { id, webhookId, event, status, attempts, lastAttemptMs, nextAttemptMs, lastError } = delivery;
  return {
    id,
    object: 'webhook.delivery' as const,
    webhook_id: webhookId,
    event: toEventObject(event),
    status,
    attempts,
    last_attempt_at: secondsOf(lastAttemptMs),
    next_attempt_at: secondsOf(nextAttemptMs),
    last_error: lastError ?? null,
  };
};
