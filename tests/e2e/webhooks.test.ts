import { closeRedis, connectRedis, createKeys, type RedisConnection } from '@promptmill/queue';
import { type Simulator, startSimulator } from '@promptmill/simulator';
import type OpenAI from 'openai';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { type ShownDelivery, unwrap, webhooksOf } from '../../apps/api/test/support/webhooks.ts';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Certificate, createCertificate } from '../support/certificate.ts';
import { inputOfRandomLengths, pricedConfig } from '../support/costs.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { type ReceiverProcess, startReceiverProcess } from '../support/start-receiver-process.ts';
import { inLongForm } from '../support/long-form.ts';

const events = ['completed', 'failed', 'expired', 'cancelled', 'paused', 'stalled'].map((name) => `batch.${name}`);

let certificate: Certificate;
let refusing: Simulator;
let receiver: ReceiverProcess;
let stack: Stack;
let redis: RedisConnection;
let secret: string;
let webhookId: string;

beforeAll(async () => {
  certificate = await createCertificate();
  receiver = await startReceiverProcess(certificate);
  refusing = await startSimulator({ errorRate: 1, errorStatus: 402 });
  const config = JSON.parse(pricedConfig()) as { providers: object };
  stack = await startStack({
    redisUrl: inject('redisUrl'),
    env: { PROMPTMILL_ALLOW_PRIVATE_WEBHOOKS: 'true', NODE_EXTRA_CA_CERTS: certificate.file },
    files: {
      'promptmill.yaml': JSON.stringify({
        providers: { ...config.providers, refusing: { baseUrl: refusing.url } },
      }),
    },
  });
  redis = connectRedis({ url: inject('redisUrl'), whileAway: 'wait', onError: () => {} });
  ({ id: webhookId, secret } = await webhooksOf(stack.client).create(receiver.url, events));
});
afterAll(async () => {
  await closeRedis(redis);
  await stack.stop();
  await Promise.all([refusing.close(), receiver.kill()]);
  await certificate.remove();
});

/** The types of a batch's events in the order in which they came, each once, and all signed. */
const toldOf = async (batchId: string): Promise<string[]> => {
  const types = new Map<string, string>();
  for (const got of receiver.received) {
    const event = await unwrap(stack.client, got, secret);
    expect(event.id).toBe(got.headers['webhook-id']);
    if ('id' in event.data && event.data.id === batchId) types.set(event.id, event.type);
  }
  return [...types.values()];
};

const deliveryOf = async (batchId: string): Promise<ShownDelivery | undefined> =>
  (await webhooksOf(stack.client).deliveries(webhookId, '?limit=100')).find(({ event }) => event.data.id === batchId);

const create = (input: string, more?: object): Promise<OpenAI.Batches.Batch> => createBatch(stack.client, input, more);

it('a batch that is completed is told of, over TLS', async () => {
  const { id } = await create(inputOf(20));
  await expect.poll(() => toldOf(id)).toEqual(['batch.completed']);
  expect((await stack.client.batches.retrieve(id)).status).toBe('completed');
});

it('so is one that was cancelled', async () => {
  const { id } = await create(inputOf(3, () => '[[sim:latency=2000]]'));
  await untilBatch(stack.client, id, ({ status }) => status === 'in_progress');
  await stack.client.batches.cancel(id);
  await expect.poll(() => toldOf(id), { timeout: 30_000 }).toEqual(['batch.cancelled']);
});

it('so is one that has expired', async () => {
  const { id } = await create(
    inputOf(3, () => '[[sim:latency=2000]]'),
    { completion_window: '1h' },
  );
  await untilBatch(stack.client, id, ({ status }) => status === 'in_progress');
  const record = createKeys(stack.prefix).batch(id);
  const fixed = JSON.parse((await redis.hget(record, 'fixed')) ?? '{}') as object;
  // An hour has passed.
  await redis.hset(record, { fixed: JSON.stringify({ ...fixed, expiresAt: Math.floor(Date.now() / 1000) - 1 }) });
  await expect.poll(() => toldOf(id), { timeout: 30_000 }).toEqual(['batch.expired']);
});

it.runIf(inLongForm)('so is one that has reached its max_cost, and again when it ends', async () => {
  const { id } = await create(inputOfRandomLengths(200, 7), { promptmill: { max_cost: 0.05 } });
  await expect.poll(() => toldOf(id), { timeout: 30_000 }).toEqual(['batch.paused']);
  await stack.client.post(`/batches/${id}/resume`, { body: { max_cost: 100 } });
  await expect.poll(() => toldOf(id), { timeout: 60_000 }).toEqual(['batch.paused', 'batch.completed']);
});

it('so is one whose lane has been held for five minutes, once', async () => {
  const { id } = await create(inputOf(5, undefined, 'refusing/echo'));
  const keys = createKeys(stack.prefix);
  const isHeld = async () => (await redis.hexists(keys.laneState('refusing'), 'heldSince')) === 1;
  await expect.poll(isHeld, { timeout: 30_000 }).toBe(true);
  expect(await toldOf(id)).toEqual([]);
  // Five minutes have passed.
  const since = Date.now() - 301_000;
  await redis.hset(keys.laneState('refusing'), { heldSince: since });
  await redis.hset(keys.batch(id), { in_progress_at: Math.floor(since / 1000) });
  await expect.poll(() => toldOf(id), { timeout: 30_000 }).toEqual(['batch.stalled']);
  await stack.client.batches.cancel(id);
  await expect.poll(() => toldOf(id), { timeout: 30_000 }).toEqual(['batch.stalled', 'batch.cancelled']);
});

it('a receiver that was killed gets the event when it is back', async () => {
  await receiver.kill();
  const { id } = await create(inputOf(2));
  await expect
    .poll(() => deliveryOf(id), { timeout: 30_000 })
    .toMatchObject({ status: 'pending', last_error: { code: 'connection_failed' } });
  await receiver.start();
  await expect.poll(() => toldOf(id), { timeout: 60_000 }).toEqual(['batch.completed']);
  await expect.poll(() => deliveryOf(id)).toMatchObject({ status: 'delivered' });
});

it('an event that waits survives the death of every api', async () => {
  await receiver.kill();
  const { id } = await create(inputOf(2));
  await expect.poll(() => deliveryOf(id), { timeout: 30_000 }).toMatchObject({ status: 'pending', attempts: 1 });
  await stack.api.stop('SIGKILL');
  await receiver.start();
  await stack.start('api', stack.api.environment);
  await expect.poll(() => toldOf(id), { timeout: 60_000 }).toEqual(['batch.completed']);
});
