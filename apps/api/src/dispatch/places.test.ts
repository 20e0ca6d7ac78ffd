import { expect, test } from 'vitest';
import { createPlaces } from './places.ts';

const longMs = 60_000;

test('a batch keeps its place while few are taken', async () => {
  const places = createPlaces(1);
  places.take();
  expect(await places.wait(1)).toBe(true);
});

test('a batch that takes one place more wakes only the batch that has waited longest', async () => {
  const places = createPlaces(2);
  places.take();
  const leave = places.take();
  const waits = [places.wait(longMs), places.wait(longMs)];
  places.take();
  expect(await waits[0]).toBe(false);
  expect(await places.wait(longMs)).toBe(false);
  leave();
  expect(await places.wait(1)).toBe(true);
  places.close();
  expect(await waits[1]).toBe(false);
});

test('when the process stops, every place is given up at once', async () => {
  const places = createPlaces(9);
  const wait = places.wait(longMs);
  places.close();
  expect(await wait).toBe(false);
  expect(await places.wait(longMs)).toBe(false);
});
