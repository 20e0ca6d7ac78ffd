import type OpenAI from 'openai';
import type { Received } from '../../../../tests/support/webhook-receiver.ts';
import { inputFile, line } from './input.ts';

export interface ShownWebhook {
  readonly id: string;
  readonly url: string;
  readonly events: readonly string[];
  readonly secret: string;
}

export interface ShownDelivery {
  readonly id: string;
  readonly event: { readonly id: string; readonly type: string; readonly data: { readonly id: string } };
  readonly status: 'pending' | 'delivered' | 'dead';
  readonly attempts: number;
  readonly last_error: { readonly code: string; readonly message: string } | null;
  readonly next_attempt_at: number | null;
}

/** The webhooks of a client's tenant. The SDK has no calls of these routes. */
export const webhooksOf = (client: OpenAI) => ({
  create: (url: string, events: readonly string[] = ['batch.failed'], more: object = {}) =>
    client.post<ShownWebhook>('/webhooks', { body: { url, events, ...more } }),
  deliveries: async (id: string, query = ''): Promise<readonly ShownDelivery[]> =>
    (await client.get<{ data: ShownDelivery[] }>(`/webhooks/${id}/deliveries${query}`)).data,
  resend: (id: string, deliveryId: string) =>
    client.post<ShownDelivery>(`/webhooks/${id}/deliveries/${deliveryId}/resend`),
});

/** Makes a batch that fails at once, since its input names a custom_id twice. Resolves with its id. */
export const failBatch = async (client: OpenAI, more: object = {}) => {
  const file = await client.files.create({ file: await inputFile(line(0) + line(0)), purpose: 'batch' });
  const terms = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  return client.batches.create({ ...terms, ...more });
};

/** Checks the signature of what a receiver got, as its code would. */
export const unwrap = (client: OpenAI, { body, headers }: Received, secret: string) =>
  client.webhooks.unwrap(body, headers, secret);
