import type { WebhookDelivery } from '../api/answers.ts';
import { html } from '../html.ts';
import { formatMoment, shortId } from '../parts/format.ts';
import { hrefOf } from '../shell/route.ts';

export interface DeliveryListProps {
  /** The id of its heading. */
  readonly labelledBy: string;
  readonly deliveries: readonly WebhookDelivery[];
  readonly onResend: (delivery: WebhookDelivery) => Promise<void>;
}

/** The colour of a status, that of a batch's. */
const kinds = { pending: 'waiting', delivered: 'completed', dead: 'failed' } as const;
const words = { pending: 'On its way', delivered: 'Delivered', dead: 'Given up' } as const;

const noteOf = ({ attempts, next_attempt_at: nextAt, last_error: error, status }: WebhookDelivery): string => {
  if (status === 'delivered') return attempts === 1 ? '' : `after ${attempts} attempts`;
  const next = nextAt === null ? '' : ` Next attempt ${formatMoment(nextAt)}.`;
  return error ? `${attempts} failed: ${error.message}${next}` : next.trim();
};

/** What a webhook was told, newest first. */
export const DeliveryList = ({ labelledBy, deliveries, onResend }: DeliveryListProps) =>
  html`<ul class="deliveries" aria-labelledby=${labelledBy}>
    ${deliveries.map((delivery) => {
      const { event, status } = delivery;
      return html`<li key=${delivery.id}>
        <span class="pill" data-kind=${kinds[status]}>${words[status]}</span>
        <strong>${event.type}</strong>
        <a href=${hrefOf({ name: 'batch', id: event.data.id })}>${shortId(event.data.id)}</a>
        <span class="muted">${formatMoment(event.created_at)}</span>
        <button
          class="quiet"
          aria-label=${`Send again: ${event.type} of ${shortId(event.data.id)}`}
          onClick=${() => onResend(delivery)}
        >
          Send again
        </button>
        <p class="muted">${noteOf(delivery)}</p>
      </li>`;
    })}
  </ul>`;
