import { createDeliveries } from '@promptmill/queue';
import { inject } from 'vitest';
import { inputFile, line, lines } from '../../apps/api/test/support/input.ts';
import { type ShownWebhook, webhooksOf } from '../../apps/api/test/support/webhooks.ts';
import { adminKey, keys, startTestApi, type TestApiOptions } from '../../apps/api/test/support/test-api.ts';
import { type Answer, createNewAddress, send, type SentRequest } from './send.ts';

/** Who may send a request: nobody known, a wrong key, another tenant, the tenant whose data it is, an admin. */
export const callers = ['none', 'wrong', 'other', 'owner', 'admin'] as const;
export type Caller = (typeof callers)[number];

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

const credentials: Readonly<Record<Caller, Readonly<Record<string, string>>>> = {
  none: {},
  wrong: bearer('a-wrong-key-0001'),
  other: bearer(keys.bob),
  owner: bearer(keys.alice),
  admin: bearer(adminKey),
};

/** An api with two tenants: `owner`, whose files and batches are attacked, and `other`. */
export const startSecuritySpace = async ({ env, ...options }: Omit<TestApiOptions, 'redisUrl'> = {}) => {
  const api = await startTestApi({
    redisUrl: inject('redisUrl'),
    env: { PROMPTMILL_ADMIN_KEY: adminKey, PROMPTMILL_TRUST_PROXY: 'loopback', ...env },
    // No test here calls a receiver.
    resolveHost: async () => [],
    ...options,
  });
  const newAddress = createNewAddress();
  return {
    api,
    send: (path: string, sent?: SentRequest): Promise<Answer> => send(api.url + path, sent),
    sendAs: (caller: Caller, path: string, { headers, ...sent }: SentRequest = {}): Promise<Answer> =>
      send(api.url + path, { ...sent, headers: { ...newAddress(), ...credentials[caller], ...headers } }),
    /**
     * A new input file of the owner, a batch of it, an upload with its only part, a background response, and a webhook with
     * a delivery.
     */
    async ownersData() {
      const file = await api.alice.files.create({ file: await inputFile(lines(2)), purpose: 'batch' });
      const batch = await api.alice.batches.create({
        input_file_id: file.id,
        endpoint: '/v1/chat/completions',
        completion_window: '24h',
      });
      const upload = await api.alice.uploads.create({
        bytes: line(0).length,
        filename: 'a.jsonl',
        mime_type: 'application/jsonl',
        purpose: 'batch',
      });
      const part = await api.alice.uploads.parts.create(upload.id, { data: await inputFile(line(0)) });
      const response = await api.alice.responses.create({ model: 'simulator/echo', input: 'Hi', background: true });
      const { data: old } = await api.alice.get<{ data: ShownWebhook[] }>('/webhooks');
      await Promise.all(old.map(({ id }) => api.alice.delete(`/webhooks/${id}`)));
      const webhook = await webhooksOf(api.alice).create('https://example.com/');
      const event = { id: 'evt_0', type: 'batch.failed', batchId: batch.id, createdAt: 0, text: '' } as const;
      const delivery = await createDeliveries(api.redis, api.keys).add('alice', webhook.id, event, Date.now());
      return {
        webhookId: webhook.id,
        deliveryId: delivery?.id ?? '',
        fileId: file.id,
        uploadId: upload.id,
        partId: part.id,
        batchId: batch.id,
        responseId: response.id,
        tenant: 'alice',
      };
    },
  };
};

export type SecuritySpace = Awaited<ReturnType<typeof startSecuritySpace>>;
