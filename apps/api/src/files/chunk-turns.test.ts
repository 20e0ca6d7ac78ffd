import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createChunkTurns } from './chunk-turns.ts';

it('each tenant has one chunk in each turn of the event loop, in the order in which they came', async () => {
  const turnOf = createChunkTurns({ hasOthers: () => false });
  const through: string[] = [];
  const send = async (tenant: string, chunk: string): Promise<void> => {
    await turnOf(tenant);
    through.push(chunk);
  };
  const sent = Promise.all([send('a', 'a1'), send('a', 'a2'), send('a', 'a3'), send('b', 'b1')]);
  await nextTurn();
  await nextTurn();
  expect(through).toEqual(['a1', 'b1']);
  await sent;
  expect(through).toEqual(['a1', 'b1', 'a2', 'a3']);
});

it('while others use the api, a pause as long as its work follows each chunk', async () => {
  const turnOf = createChunkTurns({ hasOthers: (tenant) => tenant === 'a' });
  const workMs = 5;
  const send = async (tenant: string): Promise<void> => {
    await turnOf(tenant);
    const until = performance.now() + workMs;
    while (performance.now() < until);
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: 10 }, () => send('a')));
  expect(performance.now() - startedAt).toBeGreaterThan(10 * workMs + 8 * workMs);
});
