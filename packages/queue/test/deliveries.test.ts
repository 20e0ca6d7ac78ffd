import { once } from 'node:events';
import { type WebhookEvent, webhooksQueueName } from '@promptmill/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addDeliveryJob, createDeliveries, type DeliveryJob, openWebhooksQueue, openWorker } from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;
let deliveries: ReturnType<typeof createDeliveries>;

beforeEach(() => {
  space = openRedisSpace();
  deliveries = createDeliveries(space.redis, space.keys);
});
afterEach(() => space.close());

const eventOf = (number: number): WebhookEvent => ({
  id: `evt_${number}`,
  type: 'batch.completed',
  batchId: `batch_${number}`,
  createdAt: number,
  text: 'It is completed.',
});
const error = { code: 'timeout', message: 'No answer came.' };
const idsOf = async (status?: 'pending' | 'delivered' | 'dead') => {
  const page = await deliveries.list('ada', 'wh_a', { limit: 1000, status });
  return page?.items.map(({ id }) => id) ?? [];
};

test('the same event has one delivery to a webhook, and none once that has ended', async () => {
  const begun = await deliveries.add('ada', 'wh_a', eventOf(1), 1000);
  expect(begun).toMatchObject({ round: 1, ahead: 0 });
  expect(await deliveries.add('ada', 'wh_a', eventOf(1), 2000)).toEqual(begun);
  expect(await deliveries.add('ada', 'wh_b', eventOf(1), 1000)).toMatchObject({ round: 1, ahead: 1 });
  const delivery = await deliveries.get('ada', begun?.id ?? '');
  expect(delivery).toMatchObject({ event: eventOf(1), sinceMs: 1000, attempts: 0, status: 'pending' });
  if (delivery) await deliveries.noteAttempt('ada', delivery, { status: 'delivered' }, 3000);
  expect(await deliveries.add('ada', 'wh_a', eventOf(1), 4000)).toBeUndefined();
  expect(await idsOf()).toEqual([begun?.id]);
});

test('an attempt of an earlier round changes nothing', async () => {
  const { id = '' } = (await deliveries.add('ada', 'wh_a', eventOf(1), 1000)) ?? {};
  const first = { id, webhookId: 'wh_a', round: 1 };
  await deliveries.noteAttempt('ada', first, { status: 'dead', error }, 2000);
  expect(await deliveries.resend('ada', first, 3000)).toEqual({ round: 2, ahead: 0 });
  await deliveries.noteAttempt('ada', first, { status: 'delivered' }, 4000);
  expect(await deliveries.get('ada', id)).toMatchObject({ status: 'pending', round: 2, sinceMs: 3000, attempts: 0 });
});

test('a webhook keeps a hundred delivered and a hundred dead ones, and all that are pending', async () => {
  const end = async (number: number, status: 'delivered' | 'dead') => {
    const { id = '' } = (await deliveries.add('ada', 'wh_a', eventOf(number), number)) ?? {};
    const outcome = status === 'dead' ? { status, error } : { status };
    await deliveries.noteAttempt('ada', { id, webhookId: 'wh_a', round: 1 }, outcome, number);
    return id;
  };
  const dead = await end(0, 'dead');
  const pending = await deliveries.add('ada', 'wh_a', eventOf(1), 1);
  const delivered: string[] = [];
  for (let number = 2; number < 105; number++) delivered.push(await end(number, 'delivered'));
  const kept = delivered.slice(-100).toReversed();
  expect(await idsOf('delivered')).toEqual(kept);
  expect(await idsOf()).toEqual([...kept, pending?.id, dead]);
  expect(await deliveries.get('ada', delivered[0] ?? '')).toBeUndefined();

  await deliveries.removeAll('ada', 'wh_a');
  expect(await space.redis.keys(`${space.prefix}:*`)).toEqual([]);
});

test('a tenant’s first delivery goes before the rest of another’s many', async () => {
  const queue = space.keep(openWebhooksQueue(space.redis, space.keys));
  const addOf = async (tenant: string, number: number) => {
    const begun = await deliveries.add(tenant, 'wh_a', eventOf(number), number);
    if (begun) await addDeliveryJob(queue, tenant, { tenant, deliveryId: begun.id, round: begun.round }, begun.ahead);
  };
  for (let number = 0; number < 20; number++) await addOf('ada', number);
  await addOf('bob', 20);
  const taken: string[] = [];
  const worker = space.keep(
    openWorker<DeliveryJob>(async ({ data }) => taken.push(data.tenant), {
      connection: space.redis,
      keys: space.keys,
      name: webhooksQueueName,
      concurrency: 1,
      onError: () => {},
    }),
  );
  await once(worker, 'drained');
  expect(taken.indexOf('bob')).toBeLessThan(2);
});
