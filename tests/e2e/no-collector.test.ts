import type { BatchObject } from '@promptmill/core';
import type { Batch } from 'openai/resources/batches';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Stack, startStack } from '../support/stack.ts';

const window = 500;
const blockedCode = (batch: Batch): string | undefined => (batch as unknown as BatchObject).promptmill.blocked?.code;

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({
    redisUrl: inject('redisUrl'),
    collectors: 0,
    env: { PROMPTMILL_WINDOW: String(window) },
  });
});
afterAll(() => stack.stop());

it('without a collector a batch stops at what Redis may hold, and says so; it goes on when there is one', async () => {
  const input = inputOf(5 * window);
  const { id } = await createBatch(stack.client, input);
  // It is said 10 s after the first result: the workers may still be at it.
  const stopped = await untilBatch(
    stack.client,
    id,
    (batch) => blockedCode(batch) === 'no_collector' && (batch.request_counts?.completed ?? 0) >= window,
  );
  expect(stopped.status).toBe('in_progress');
  // What was dispatched before as many waited still comes in.
  expect(stopped.request_counts?.completed).toBeLessThanOrEqual(2 * window);

  await stack.start('collector');
  const batch = await untilBatch(stack.client, id);
  expect(batch.status).toBe('completed');
  expect(blockedCode(batch)).toBeUndefined();
  await checkBatch(stack, batch, input);
});
