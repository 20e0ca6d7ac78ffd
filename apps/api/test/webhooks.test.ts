import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { type Receiver, startReceiver } from '../../../tests/support/webhook-receiver.ts';
import { startTestApi, type TestApi } from './support/test-api.ts';
import { failBatch, type ShownWebhook, unwrap, webhooksOf } from './support/webhooks.ts';

const operatorsSecret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

let api: TestApi;
let receiver: Receiver;
let operators: Receiver;

beforeAll(async () => {
  operators = await startReceiver();
  api = await startTestApi({
    redisUrl: inject('redisUrl'),
    env: { PROMPTMILL_ALLOW_PRIVATE_WEBHOOKS: 'true', OPS_WEBHOOK_SECRET: operatorsSecret },
    configFile: `
webhooks:
  ops: { url: '${operators.url}ops', secretEnv: OPS_WEBHOOK_SECRET, events: [batch.failed], tenants: [bob] }
  off: { url: '${operators.url}off', secretEnv: NO_SUCH_VARIABLE }
  chat: { url: 'http://hooks.slack.com:${operators.port}/services/T0', tenants: [bob] }
`,
    resolveHost: async () => ['127.0.0.1'],
  });
});
afterAll(async () => {
  await api.close();
  await operators.close();
});
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(async () => {
  const { data } = await api.alice.get<{ data: ShownWebhook[] }>('/webhooks');
  await Promise.all(data.map(({ id }) => api.alice.delete(`/webhooks/${id}`)));
  await receiver.close();
});

const refusal = (answer: Promise<unknown>) =>
  answer.then(
    () => expect.fail('it was not refused'),
    (error: unknown) => error,
  );

describe('a webhook', () => {
  it('is made, read, changed and deleted, and shows its secret once', async () => {
    const { secret, ...made } = await webhooksOf(api.alice).create(receiver.url, ['batch.failed', 'batch.failed']);
    expect(secret).toMatch(/^whsec_/);
    expect(made).toEqual({
      id: expect.stringMatching(/^wh_[0-9a-f]{32}$/),
      object: 'webhook',
      url: receiver.url,
      events: ['batch.failed'],
      description: null,
      created_at: expect.any(Number),
    });
    expect(await api.alice.get(`/webhooks/${made.id}`)).toEqual(made);
    expect(await api.alice.get('/webhooks')).toMatchObject({ data: [made], has_more: false });
    const changes = { url: `${receiver.url}b`, description: 'nightly' };
    const changed = { ...made, ...changes };
    expect(await api.alice.post(`/webhooks/${made.id}`, { body: changes })).toEqual(changed);
    expect(await api.alice.delete(`/webhooks/${made.id}`)).toEqual({ id: made.id, object: 'webhook', deleted: true });
    expect(await refusal(api.alice.get(`/webhooks/${made.id}`))).toMatchObject({ status: 404 });
  });

  it.each([
    [{ url: 'ftp://example.com', events: ['batch.failed'] }, 'invalid_webhook_url', 'url'],
    [{ url: 'http://a:b@127.0.0.1/', events: ['batch.failed'] }, 'invalid_webhook_url', 'url'],
    [{ url: 'http://127.0.0.1/', events: [] }, 'array_below_min_length', 'events'],
    [{ url: 'http://127.0.0.1/', events: ['batch.made'] }, 'invalid_value', 'events[0]'],
    [{ url: 'http://127.0.0.1/' }, 'missing_required_parameter', 'events'],
    [{ url: 'http://127.0.0.1/', events: ['batch.failed'], secret: 'mine' }, 'unknown_parameter', 'secret'],
  ])('is refused when it is %j', async (body, code, param) => {
    expect(await refusal(api.alice.post('/webhooks', { body }))).toMatchObject({ status: 400, code, param });
  });

  it('is refused when the tenant has twenty', async () => {
    await Promise.all(Array.from({ length: 20 }, () => webhooksOf(api.alice).create(receiver.url)));
    const refused = { status: 429, code: 'too_many_webhooks' };
    expect(await refusal(webhooksOf(api.alice).create(receiver.url))).toMatchObject(refused);
    expect(await webhooksOf(api.bob).create(receiver.url)).toMatchObject({ url: receiver.url });
  });

  it('gets the events that it names, signed so that the OpenAI SDK takes them', async () => {
    const { secret, id } = await webhooksOf(api.alice).create(receiver.url, ['batch.failed', 'batch.paused']);
    await webhooksOf(api.alice).create(receiver.url, ['batch.completed']);
    const batch = await failBatch(api.alice);
    await expect.poll(() => receiver.received).toHaveLength(1);
    const [got] = receiver.received;
    if (!got) throw new Error('nothing came');
    const event = await unwrap(api.alice, got, secret);
    expect(event).toEqual({
      id: got.headers['webhook-id'],
      object: 'event',
      created_at: expect.any(Number),
      type: 'batch.failed',
      data: { id: batch.id },
    });
    expect(got.headers).toMatchObject({ 'content-type': 'application/json', 'user-agent': 'Promptmill' });
    const forged = { ...got, body: got.body.replace('failed', 'expired') };
    await expect(unwrap(api.alice, forged, secret)).rejects.toThrow('does not match the expected signature');
    await expect
      .poll(() => webhooksOf(api.alice).deliveries(id))
      .toMatchObject([{ event, status: 'delivered', attempts: 1, last_error: null, next_attempt_at: null }]);
    expect(receiver.received).toHaveLength(1);
  });

  it('signs with the old secret too for a day after a rotation', async () => {
    const { secret: old, id } = await webhooksOf(api.alice).create(receiver.url);
    const { secret } = await api.alice.post<ShownWebhook>(`/webhooks/${id}/rotate`);
    expect(secret).not.toBe(old);
    await failBatch(api.alice);
    await expect.poll(() => receiver.received).toHaveLength(1);
    for (const each of [old, secret])
      for (const got of receiver.received)
        expect(await unwrap(api.alice, got, each)).toMatchObject({ type: 'batch.failed' });
  });

  it('gets nothing more once it is deleted, nor do its deliveries stay', async () => {
    receiver.answerWithStatus(500);
    const { id } = await webhooksOf(api.alice).create(receiver.url);
    await failBatch(api.alice);
    await expect.poll(() => webhooksOf(api.alice).deliveries(id)).toMatchObject([{ status: 'pending', attempts: 1 }]);
    const [delivery] = await webhooksOf(api.alice).deliveries(id);
    await api.alice.delete(`/webhooks/${id}`);
    expect(await api.redis.keys(`${api.prefix}*${delivery?.id}`)).toEqual([]);
    expect(await refusal(webhooksOf(api.alice).deliveries(id))).toMatchObject({ status: 404 });
  });
});

describe('the webhook_url of a batch', () => {
  it('gets its events, signed with the secret that its creation showed', async () => {
    const batch = await failBatch(api.alice, { promptmill: { webhook_url: `${receiver.url}?key=1` } });
    const { promptmill } = batch as unknown as { promptmill: { webhook_url: string; webhook_secret: string } };
    expect(promptmill.webhook_url).toBe(receiver.url.slice(0, -1));
    await expect.poll(() => receiver.received).toMatchObject([{ path: '/?key=1' }]);
    for (const got of receiver.received)
      expect(await unwrap(api.alice, got, promptmill.webhook_secret)).toMatchObject({ data: { id: batch.id } });
    expect(await api.alice.batches.retrieve(batch.id)).not.toHaveProperty('promptmill.webhook_secret');
    await expect.poll(() => webhooksOf(api.alice).deliveries(batch.id)).toMatchObject([{ status: 'delivered' }]);
    expect(await refusal(webhooksOf(api.bob).deliveries(batch.id))).toMatchObject({ status: 404 });
  });

  it('is signed with the secret of the caller', async () => {
    const own = { webhook_url: receiver.url, webhook_secret: operatorsSecret };
    const batch = await failBatch(api.alice, { promptmill: own });
    expect(batch).not.toHaveProperty('promptmill.webhook_secret');
    await expect.poll(() => receiver.received).toHaveLength(1);
    for (const got of receiver.received) expect(await unwrap(api.alice, got, operatorsSecret)).toBeDefined();
  });

  it('has one secret, however often its creation is repeated', async () => {
    const body = { model: 'simulator/echo', prompts: ['Hi'], promptmill: { webhook_url: receiver.url } };
    const create = () =>
      api.alice.post<{ promptmill: { webhook_secret: string } }>('/batches', {
        body,
        headers: { 'Idempotency-Key': 'one secret' },
      });
    const [first, second] = [await create(), await create()];
    expect(first.promptmill.webhook_secret).toMatch(/^whsec_/);
    expect(second.promptmill.webhook_secret).toBe(first.promptmill.webhook_secret);
  });

  it.each([
    [{ webhook_url: 'http://a:b@127.0.0.1/' }, 'invalid_webhook_url', 'promptmill.webhook_url'],
    [{ webhook_url: 'http://127.0.0.1/', webhook_secret: 'short' }, 'invalid_value', 'promptmill.webhook_secret'],
    [{ webhook_secret: operatorsSecret }, 'invalid_value', 'promptmill.webhook_secret'],
  ])('is refused when it is %j', async (promptmill, code, param) => {
    const body = { model: 'simulator/echo', prompts: ['Hi'], promptmill };
    expect(await refusal(api.alice.post('/batches', { body }))).toMatchObject({ status: 400, code, param });
  });
});

describe('the operator', () => {
  it('is told of the tenants and events that the configuration names, in a chat too', async () => {
    await failBatch(api.alice);
    const batch = await failBatch(api.bob);
    const sorted = () => operators.received.toSorted((a, b) => a.path.localeCompare(b.path));
    await expect.poll(sorted).toMatchObject([{ path: '/ops' }, { path: '/services/T0' }]);
    const [signed, chat] = sorted();
    if (!signed || !chat) throw new Error('something did not come');
    expect(await unwrap(api.bob, signed, operatorsSecret)).toMatchObject({ data: { id: batch.id } });
    expect(JSON.parse(chat.body)).toEqual({
      text: `Batch ${batch.id} failed: its input was refused (duplicate_custom_id).`,
    });
    expect(chat.headers).not.toHaveProperty('webhook-signature');
  });

  it('is told elsewhere once the configuration says so', async () => {
    const before = operators.received.length;
    const url = receiver.url;
    api.setWebhooks([{ name: 'new', url, events: ['batch.failed'], tenants: ['bob'], secret: operatorsSecret }]);
    await failBatch(api.bob);
    await expect.poll(() => receiver.received).toHaveLength(1);
    expect(operators.received).toHaveLength(before);
  });
});

it('metrics count deliveries, and say how many wait', async () => {
  receiver.answerWithStatus(500);
  await webhooksOf(api.alice).create(receiver.url);
  const metrics = async () => (await api.request('/metrics')).text();
  const countOf = (text: string, outcome: string) =>
    Number(new RegExp(`promptmill_webhook_deliveries_total{outcome="${outcome}".*} (\\d+)`).exec(text)?.[1] ?? 0);
  const before = await metrics();
  await failBatch(api.alice);
  await expect.poll(async () => countOf(await metrics(), 'failed')).toBe(countOf(before, 'failed') + 1);
  expect(await metrics()).toMatch(/promptmill_webhook_deliveries_waiting{.*} [1-9]/);
});
