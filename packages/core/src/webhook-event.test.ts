import { expect, test } from 'vitest';
import type { Batch } from './batch.ts';
import { noCost } from './batch.ts';
import { noUsage } from './usage.ts';
import { bodyFor, costPauseOf, endOf, stalledAfterMs, stallOf, type WebhookEvent } from './webhook-event.ts';

const batch: Batch = {
  id: 'batch_a',
  tenant: 'ada',
  endpoint: '/v1/chat/completions',
  inputFileId: 'file-a',
  completionWindow: '24h',
  status: 'completed',
  metadata: null,
  errors: [],
  outputFileId: 'file-b',
  errorFileId: 'file-c',
  outputPublished: true,
  errorPublished: true,
  createdAt: 100,
  inProgressAt: 110,
  completedAt: 200,
  expiresAt: 86_500,
  total: 10,
  completed: 7,
  failed: 3,
  usage: noUsage,
  cost: noCost,
};

const end: WebhookEvent = {
  id: expect.stringMatching(/^evt_[0-9a-f]{32}$/) as string,
  type: 'batch.completed',
  batchId: 'batch_a',
  createdAt: 200,
  text: 'Batch batch_a is completed: 7 of 10 requests were answered, 3 failed.',
};

test('the end of a batch is the same event whenever it is noticed', () => {
  expect(endOf(batch)).toEqual(end);
  expect(endOf({ ...batch })?.id).toBe(endOf(batch)?.id);
  expect(endOf({ ...batch, id: 'batch_b' })?.id).not.toBe(endOf(batch)?.id);
  expect(endOf({ ...batch, status: 'finalizing' })).toBeUndefined();
});

test('a batch whose input was refused says why, and quotes nothing of it', () => {
  const errors = [{ code: 'invalid_json_line', message: 'secret', param: null, line: 1 }];
  const { completedAt, ...open } = batch;
  const failed = endOf({ ...open, status: 'failed', failedAt: completedAt ?? 0, errors });
  expect(failed).toMatchObject({ type: 'batch.failed', createdAt: 200 });
  expect(failed?.text).toBe('Batch batch_a failed: its input was refused (invalid_json_line).');
});

test('each time a limit of the cost is reached is an event', () => {
  const pauseAt = (at: number) =>
    costPauseOf({ id: 'a', costHold: { limit: 'max_cost', reached: { at, reason: 'No.' } } });
  expect(pauseAt(5)).toMatchObject({ type: 'batch.paused', createdAt: 5, text: 'Batch a is paused. No.' });
  expect(pauseAt(6)?.id).not.toBe(pauseAt(5)?.id);
  expect(costPauseOf({ id: 'a', costHold: { limit: 'max_cost' } })).toBeUndefined();
  expect(costPauseOf({ id: 'a' })).toBeUndefined();
});

test('a batch is stalled when it has waited five minutes for a held lane', () => {
  const lane = { lane: 'xai', reason: 'payment_required 402', sinceMs: 500_000 };
  expect(stallOf(batch, lane, 500_000 + stalledAfterMs - 1)).toBeUndefined();
  expect(stallOf(batch, lane, 500_000 + stalledAfterMs)).toMatchObject({ type: 'batch.stalled', createdAt: 800 });
  // The lane was held before the batch began.
  expect(stallOf({ ...batch, inProgressAt: 700 }, lane, 500_000 + stalledAfterMs)).toBeUndefined();
  const [first, second] = [lane, { ...lane, sinceMs: 600_000 }].map((each) => stallOf(batch, each, 10 ** 7)?.id);
  expect(first).not.toBe(second);
});

test('a URL gets the event as OpenAI sends it, a chat its text', () => {
  const sent = { ...end, id: 'evt_a' };
  expect(JSON.parse(bodyFor('https://example.com/', sent))).toEqual({
    id: 'evt_a',
    object: 'event',
    created_at: 200,
    type: 'batch.completed',
    data: { id: 'batch_a' },
  });
  expect(JSON.parse(bodyFor('https://hooks.slack.com/services/T0', end))).toEqual({ text: end.text });
  expect(JSON.parse(bodyFor('https://discord.com/api/webhooks/1/x', end))).toMatchObject({ content: end.text });
});
