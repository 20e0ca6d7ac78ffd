import { expect, test } from 'vitest';
import { createFindCallsInFlight } from './find-calls-in-flight.ts';

test('waits for the jobs that were in work at the stop, not for jobs that are dropped later', async () => {
  const looks = [['b-1', 'b-2', 'b-3'], ['b-2', 'b-4'], ['b-4', 'b-5'], ['b-5']];
  const isInFlight = createFindCallsInFlight(async () => looks.shift() ?? []);
  expect([await isInFlight('b', []), await isInFlight('b', []), await isInFlight('b', [])]).toEqual([
    true,
    true,
    false,
  ]);
});

test('a new process waits for all jobs in work', async () => {
  const isInFlight = createFindCallsInFlight(async (id) => (id === 'b' ? ['b-1'] : []));
  expect([await isInFlight('b', []), await isInFlight('c', []), await isInFlight('b', [])]).toEqual([
    true,
    false,
    true,
  ]);
});
