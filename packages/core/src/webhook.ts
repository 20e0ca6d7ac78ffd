import type { WebhookEventType } from './webhook-event.ts';

/** A URL of a tenant and the events that it gets. */
export interface Webhook {
  readonly id: string;
  readonly url: string;
  readonly events: readonly WebhookEventType[];
  readonly description: string | null;
  /** Unix seconds. */
  readonly createdAt: number;
  /** `whsec_…` */
  readonly secret: string;
  /** The secret before the last rotation. It signs too until then. */
  readonly oldSecret?: { readonly secret: string; readonly untilMs: number };
}

/** The webhook as the API shows it: without its secret. */
export const toWebhookObject = ({ id, url, events, description, createdAt }: Webhook) => ({
  id,
  object: 'webhook' as const,
  url,
  events,
  description,
  created_at: createdAt,
});

/** The secrets that sign a message now. */
export const secretsOf = (
  { secret, oldSecret }: Pick<Webhook, 'secret' | 'oldSecret'>,
  nowMs: number,
): readonly string[] => (oldSecret && nowMs < oldSecret.untilMs ? [secret, oldSecret.secret] : [secret]);
