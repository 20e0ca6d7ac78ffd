import { expect, test } from 'vitest';
import { createFetchTogether } from './fetch-together.ts';

/** Fetches from a queue of so many jobs, which takes a round trip. */
const open = (jobs: number, room: number) => {
  let next = 0;
  let atOnce = 0;
  const most: number[] = [];
  const back: [id: string, token: string][] = [];
  const tokens: string[] = [];
  const fetches = createFetchTogether({
    async fetch(token) {
      most.push(++atOnce);
      tokens.push(token);
      const id = next < jobs ? String(next++) : undefined;
      await Promise.resolve();
      atOnce--;
      return id === undefined ? [null, null, 0, 99] : [['data', id], id, 0, 0];
    },
    room: () => room,
    putBack: (id, token) => Promise.resolve(back.push([id, token])),
  });
  return { fetches, mostAtOnce: () => Math.max(...most), calls: () => most.length, back, tokens };
};

test('a worker gets all jobs one by one, and then that there is none', async () => {
  const { fetches, mostAtOnce } = open(40, 50);
  const answers: unknown[][] = [];
  for (let i = 0; i <= 40; i++) answers.push(await fetches.next(`t${i}`));
  expect(answers.slice(0, 40).map(([, id]) => id)).toEqual(Array.from({ length: 40 }, (_, i) => String(i)));
  expect(answers[40]).toEqual([null, null, 0, 99]);
  expect(mostAtOnce()).toBe(16);
});

test('each job has the token under which it was fetched', async () => {
  const { fetches, tokens } = open(8, 50);
  const seen: (string | undefined)[] = [];
  for (let i = 0; i < 8; i++) {
    const [, id] = await fetches.next(`t${i}`);
    seen.push(fetches.takeToken(id));
  }
  expect(new Set(seen).size).toBe(8);
  expect(seen).toEqual(tokens.slice(0, 8));
});

test('no more are fetched than there is room for', async () => {
  const { fetches, mostAtOnce } = open(40, 3);
  for (let i = 0; i < 40; i++) await fetches.next(`t${i}`);
  expect(mostAtOnce()).toBe(3);
});

test('one job at a time costs no useless fetch', async () => {
  const { fetches, calls } = open(1, 50);
  await fetches.next('a');
  await fetches.next('b');
  expect(calls()).toBe(2);
});

test('jobs that the worker has not got go back', async () => {
  const { fetches, back } = open(40, 50);
  for (let i = 0; i < 4; i++) await fetches.next(`t${i}`);
  await fetches.putAllBack();
  const [, next] = await fetches.next('after');
  expect(back.map(([id]) => Number(id))).toEqual(Array.from({ length: back.length }, (_, i) => 4 + i));
  expect(Number(next)).toBe(4 + back.length);
});
