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

it('a batch without a collector stops when Redis holds its window, says so, and goes on with a collector', async () => {
  const input = inputOf(5 * window);
  const { id } = await createBatch(stack.client, input);
  // The reason shows 10 s after the first result, perhaps before the workers have answered a window.
  const stopped = await untilBatch(
    stack.client,
    id,
    (batch) => blockedCode(batch) === 'no_collector' && (batch.request_counts?.completed ?? 0) >= window,
  );
  expect(stopped.status).toBe('in_progress');
  // Requests that were dispatched before a window of results waited still get theirs.
  expect(stopped.request_counts?.completed).toBeLessThanOrEqual(2 * window);

  await stack.start('collector');
  const batch = await untilBatch(stack.client, id);
  expect(batch.status).toBe('completed');
  expect(blockedCode(batch)).toBeUndefined();
  await checkBatch(stack, batch, input);
});
