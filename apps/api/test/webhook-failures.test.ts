import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { createCertificate } from '../../../tests/support/certificate.ts';
import { type Receiver, startReceiver } from '../../../tests/support/webhook-receiver.ts';
import { startTestApi, type TestApi } from './support/test-api.ts';
import { failBatch, type ShownWebhook, unwrap, webhooksOf } from './support/webhooks.ts';

let api: TestApi;
let receiver: Receiver;

/** Moves the clock of the api, of BullMQ and of whoever checks a signature. */
const moveClock = (ms: number): void => void (movedMs += ms);
let movedMs = 0;

beforeAll(async () => {
  const realNow = Date.now;
  vi.spyOn(Date, 'now').mockImplementation(() => realNow() + movedMs);
  const env = { PROMPTMILL_ALLOW_PRIVATE_WEBHOOKS: 'true' };
  api = await startTestApi({ redisUrl: inject('redisUrl'), env });
});
afterAll(async () => {
  await api.close();
  vi.restoreAllMocks();
});
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(async () => {
  for (const client of [api.alice, api.bob]) {
    const { data } = await client.get<{ data: ShownWebhook[] }>('/webhooks');
    await Promise.all(data.map(({ id }) => client.delete(`/webhooks/${id}`)));
  }
  await receiver.close();
});

/** The only delivery of a new batch that has failed to a URL. */
const failTo = async (url: string) => {
  const webhook = await webhooksOf(api.alice).create(url);
  await failBatch(api.alice);
  const delivery = async () => (await webhooksOf(api.alice).deliveries(webhook.id))[0];
  return { webhook, delivery };
};

describe('a receiver that fails', () => {
  it('for an hour gets the event when it works again, with the same id and a signature of that time', async () => {
    receiver.answerWithStatus(500);
    const { webhook, delivery } = await failTo(receiver.url);
    const startedMs = Date.now();
    for (let attempts = 1; Date.now() < startedMs + 3_600_000; attempts++) {
      await expect
        .poll(delivery)
        .toMatchObject({ attempts, status: 'pending', last_error: { code: 'bad_status', message: expect.anything() } });
      const { next_attempt_at: nextAt } = (await delivery()) ?? {};
      const delayMs = ((nextAt ?? 0) + 1) * 1000 - Date.now();
      // Half of what doubles each time, less what passes during the test.
      expect(delayMs).toBeGreaterThan(Math.min(3_600_000, 10_000 * 2 ** (attempts - 1)) / 2 - 4000);
      expect(delayMs).toBeLessThan(Math.min(3_600_000, 10_000 * 2 ** (attempts - 1)) + 2000);
      moveClock(delayMs);
    }
    expect(receiver.received.length).toBeLessThan(15);
    receiver.answerWithStatus(204);
    moveClock(3_600_000);
    await expect.poll(delivery).toMatchObject({ status: 'delivered', last_error: null });
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    const last = receiver.received.at(-1);
    if (!last) throw new Error('nothing came');
    expect(await unwrap(api.alice, last, webhook.secret)).toMatchObject({ type: 'batch.failed' });
  });

  it('for a day gets it no more, until it is sent again', async () => {
    receiver.answerWithStatus(503);
    const { webhook, delivery } = await failTo(receiver.url);
    await expect.poll(delivery).toMatchObject({ attempts: 1 });
    moveClock(86_400_000);
    await expect.poll(delivery).toMatchObject({ status: 'dead', attempts: 2, next_attempt_at: null });
    const dead = await webhooksOf(api.alice).deliveries(webhook.id, '?status=dead');
    expect(dead).toMatchObject([{ last_error: { message: 'It answered with status 503.' } }]);
    expect(await webhooksOf(api.alice).deliveries(webhook.id, '?status=pending')).toEqual([]);

    receiver.answerWithStatus(200);
    expect(await webhooksOf(api.alice).resend(webhook.id, dead[0]?.id ?? '')).toMatchObject({ status: 'pending' });
    await expect.poll(delivery).toMatchObject({ status: 'delivered', attempts: 1 });
    expect(await webhooksOf(api.alice).deliveries(webhook.id, '?status=dead')).toEqual([]);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  });

  it('gets it at once when it is sent again before its time', async () => {
    receiver.answerWithStatus(500);
    const { webhook, delivery } = await failTo(receiver.url);
    await expect.poll(delivery).toMatchObject({ attempts: 1 });
    receiver.answerWithStatus(200);
    await webhooksOf(api.alice).resend(webhook.id, (await delivery())?.id ?? '');
    await expect.poll(delivery).toMatchObject({ status: 'delivered', attempts: 2 });
  });
});

it('a delivered event can be sent again, one of another webhook cannot', async () => {
  const { webhook, delivery } = await failTo(receiver.url);
  await expect.poll(delivery).toMatchObject({ status: 'delivered' });
  const id = (await delivery())?.id ?? '';
  await webhooksOf(api.alice).resend(webhook.id, id);
  await expect.poll(() => receiver.received).toHaveLength(2);
  await expect.poll(delivery).toMatchObject({ status: 'delivered', attempts: 1 });
  const other = await webhooksOf(api.alice).create(receiver.url);
  await expect(webhooksOf(api.alice).resend(other.id, id)).rejects.toMatchObject({ status: 404 });
  await expect(webhooksOf(api.bob).resend(webhook.id, id)).rejects.toMatchObject({ status: 404 });
});

it('deliveries come in pages, newest first', async () => {
  const { id } = await webhooksOf(api.alice).create(receiver.url);
  for (let i = 0; i < 3; i++) await failBatch(api.alice);
  await expect.poll(() => webhooksOf(api.alice).deliveries(id, '?status=delivered')).toHaveLength(3);
  const all = await webhooksOf(api.alice).deliveries(id);
  const pages = [await webhooksOf(api.alice).deliveries(id, '?limit=2')];
  pages.push(await webhooksOf(api.alice).deliveries(id, `?limit=2&after=${pages[0]?.at(-1)?.id}`));
  expect(pages.flat()).toEqual(all);
  const strange = webhooksOf(api.alice).deliveries(id, '?after=whd_0');
  await expect(strange).rejects.toMatchObject({ status: 400, param: 'after' });
});

it('a redirect is a failure, and is not followed', async () => {
  receiver.answerWithStatus(302, { location: 'http://169.254.169.254/latest/meta-data' });
  const { delivery } = await failTo(receiver.url);
  const message = 'It answered with a redirect (302), which is not followed.';
  await expect.poll(delivery).toMatchObject({ status: 'pending', last_error: { code: 'redirect', message } });
  expect(receiver.received).toHaveLength(1);
});

it('a receiver that does not run, or breaks off, has failed', async () => {
  const { delivery } = await failTo('http://127.0.0.1:1/');
  await expect.poll(delivery).toMatchObject({ last_error: { message: 'The connection failed (ECONNREFUSED).' } });
  receiver.answerWith((response) => void response.socket?.destroy());
  const broken = await failTo(receiver.url);
  await expect.poll(broken.delivery).toMatchObject({ last_error: { code: 'connection_failed' } });
});

it('a certificate that is not trusted is a failure, and nothing is sent', async () => {
  const certificate = await createCertificate();
  const [key, cert] = await Promise.all([readFile(certificate.key, 'utf8'), readFile(certificate.file, 'utf8')]);
  const secure = await startReceiver({ tls: { key, cert } });
  try {
    const { delivery } = await failTo(secure.url);
    await expect.poll(delivery).toMatchObject({ last_error: { code: 'invalid_certificate' } });
    expect(secure.received).toEqual([]);
  } finally {
    await secure.close();
    await certificate.remove();
  }
});

it('a receiver that answers too late has failed; meanwhile other tenants get theirs', async () => {
  receiver.answerWith(() => {});
  const slow = await webhooksOf(api.alice).create(receiver.url);
  for (let i = 0; i < 10; i++) await failBatch(api.alice);
  await expect.poll(() => receiver.received).toHaveLength(4);
  const quick = await startReceiver();
  try {
    await webhooksOf(api.bob).create(quick.url);
    const startedMs = performance.now();
    await failBatch(api.bob);
    await expect.poll(() => quick.received).toHaveLength(1);
    expect(performance.now() - startedMs).toBeLessThan(5000);
    const failed = async () =>
      (await webhooksOf(api.alice).deliveries(slow.id)).filter((delivery) => delivery.attempts > 0);
    // The first four take 15 s. Then the next have their places.
    await expect
      .poll(failed, { timeout: 25_000 })
      .toMatchObject(Array.from({ length: 4 }, () => ({ last_error: { code: 'timeout' } })));
    await expect.poll(() => receiver.received.length).toBeGreaterThan(4);
  } finally {
    await quick.close();
  }
});

it('an endless answer is not read, and counts by its status', async () => {
  receiver.answerWith((response) => {
    response.writeHead(200);
    const write = (): void => void (response.write('x'.repeat(64 * 1024)) && setImmediate(write));
    response.on('drain', write);
    write();
  });
  const { delivery } = await failTo(receiver.url);
  await expect.poll(delivery).toMatchObject({ status: 'delivered' });
});
