import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { type Receiver, startReceiver } from '../../../tests/support/webhook-receiver.ts';
import { startTestApi, type TestApi } from './support/test-api.ts';
import { failBatch, webhooksOf } from './support/webhooks.ts';
import { inLongForm } from '../../../tests/support/long-form.ts';

/** No api here may call a private address. A name has the addresses that a test says. */
let api: TestApi;
let receiver: Receiver;
let addresses: readonly string[];
let lookups: number;

beforeAll(async () => {
  receiver = await startReceiver();
  const resolveHost = async () => {
    lookups++;
    return addresses;
  };
  api = await startTestApi({ redisUrl: inject('redisUrl'), resolveHost });
});
afterAll(async () => {
  await api.close();
  await receiver.close();
});
beforeEach(() => {
  lookups = 0;
});

it.each([
  ['127.0.0.1'],
  ['::1'],
  ['::ffff:127.0.0.1'],
  ['10.0.0.1'],
  ['169.254.169.254'],
  ['fd00::1'],
  ['64:ff9b::7f00:1'],
  ['127.0.0.1', '::1'],
])('a name that means %s is not called, now or later', async (...found) => {
  addresses = found;
  const { id } = await webhooksOf(api.alice).create(`https://receiver.example:${receiver.port}/`);
  await failBatch(api.alice);
  const delivery = async () => (await webhooksOf(api.alice).deliveries(id))[0];
  const failed = { status: 'pending', last_error: { code: 'private_address' } };
  await expect.poll(delivery).toMatchObject({ ...failed, attempts: 1 });
  await webhooksOf(api.alice).resend(id, (await delivery())?.id ?? '');
  await expect.poll(delivery).toMatchObject({ ...failed, attempts: 2 });
  // The name is looked up for each connection.
  expect(lookups).toBe(2);
  expect(receiver.connections()).toBe(0);
  await api.alice.delete(`/webhooks/${id}`);
});

it.each([
  'https://127.0.0.1/',
  'https://[::ffff:7f00:1]/',
  'https://localhost/',
  'http://example.com/',
  'https://2130706433/',
])('a webhook with the URL %s is refused', async (url) => {
  const refused = { status: 400, code: 'invalid_webhook_url' };
  await expect(webhooksOf(api.alice).create(url)).rejects.toMatchObject({ ...refused, param: 'url' });
  const batch = failBatch(api.alice, { promptmill: { webhook_url: url } });
  await expect(batch).rejects.toMatchObject({ ...refused, param: 'promptmill.webhook_url' });
});

it('a URL that was allowed once is not called when it no longer is', async () => {
  const { id } = await webhooksOf(api.alice).create('https://receiver.example/');
  const key = api.keys.webhooks('alice');
  const known = JSON.parse((await api.redis.hget(key, id)) ?? '{}') as object;
  await api.redis.hset(key, { [id]: JSON.stringify({ ...known, url: receiver.url }) });
  await failBatch(api.alice);
  await expect
    .poll(async () => (await webhooksOf(api.alice).deliveries(id))[0])
    .toMatchObject({ last_error: { code: 'url_not_allowed' } });
  expect(receiver.connections()).toBe(0);
});

describe('a host whose name server does not answer', () => {
  it.runIf(inLongForm)(
    'counts as a failure after 15 s, and holds up no stop: the next api goes on with the delivery',
    async () => {
      let asked = 0;
      const resolveHost = (_hostname: string, signal: AbortSignal) => {
        asked++;
        const { promise, reject } = Promise.withResolvers<never>();
        signal.addEventListener('abort', () => reject(signal.reason));
        return promise;
      };
      const silent = await startTestApi({ redisUrl: inject('redisUrl'), resolveHost });
      const { id } = await webhooksOf(silent.alice).create('https://receiver.example/');
      await failBatch(silent.alice);
      const deliveryAt = async (at: TestApi) => (await webhooksOf(at.alice).deliveries(id))[0];
      await expect
        .poll(() => deliveryAt(silent), { timeout: 25_000 })
        .toMatchObject({ attempts: 1, last_error: { code: 'timeout' } });
      await webhooksOf(silent.alice).resend(id, (await deliveryAt(silent))?.id ?? '');
      await expect.poll(() => asked).toBe(2);
      const stopAtMs = performance.now();
      await silent.stop();
      // The grace of a second is over, and no other time limit.
      expect(performance.now() - stopAtMs).toBeLessThan(8000);

      const next = await startTestApi({
        redisUrl: inject('redisUrl'),
        env: silent.shared,
        resolveHost: async () => ['127.0.0.1'],
      });
      await expect.poll(() => deliveryAt(next)).toMatchObject({ attempts: 2, last_error: { code: 'private_address' } });
      await next.close();
      await silent.close();
    },
  );
});
