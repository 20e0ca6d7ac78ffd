import { expect, it } from 'vitest';
import { createBatchTurns } from './batch-turns.ts';

/** Asks for so many turns of one tenant at once. Returns for how long each waits, in tenths of a second, or its error. */
const askFor = async (turns: number, hasOthers: boolean): Promise<unknown[]> => {
  const waits: unknown[] = [];
  const turnOf = createBatchTurns({
    hasOthers: () => hasOthers,
    sleep: async (ms) => {
      waits[waits.length - 1] = Math.ceil(ms / 100);
    },
  });
  for (let i = 0; i < turns; i++) {
    waits.push(0);
    await turnOf('a').catch((error: unknown) => (waits[waits.length - 1] = error));
  }
  return waits;
};

it('a tenant that is alone makes batches as fast as it can', async () => {
  expect(await askFor(1000, false)).toEqual(Array.from({ length: 1000 }, () => 0));
});

it('while others use the api, ten batches go at once and ten a second follow', async () => {
  expect(await askFor(30, true)).toEqual(Array.from({ length: 30 }, (_, i) => Math.max(0, i - 9)));
});

it('refuses what would wait for over 30 s, and says when to try again', async () => {
  const waits = await askFor(400, true);
  expect(waits.filter((wait) => typeof wait === 'number').length).toBeGreaterThanOrEqual(309);
  expect(waits.at(-1)).toMatchObject({ status: 429, code: 'too_many_new_batches', retryAfterSeconds: 31 });
});
