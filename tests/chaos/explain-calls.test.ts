import { describe, expect, it } from 'vitest';
import type { AppliedFault } from './apply-fault.ts';
import { explainCalls, type ProviderCall, timesUntilCalledAgain } from './explain-calls.ts';
import type { PlannedFault, ProcessFaultKind, Target } from './plan-faults.ts';

const options = { fleet: { worker: 3, collector: 2, api: 2 }, concurrency: 5, forgotten: 0 };

const fault = (planned: Partial<PlannedFault>, fromMs: number, toMs = fromMs): AppliedFault => ({
  planned: { kind: 'Redis paused', atMs: 0, durationMs: 0, ...planned } as PlannedFault,
  fromMs,
  toMs,
  healedMs: toMs,
});
const hit = (kind: ProcessFaultKind, role: Target['role'], fromMs: number, toMs?: number): AppliedFault =>
  fault({ kind, target: { role, index: 0 } }, fromMs, toMs);

const call = (key: string, at: number, more: Partial<ProviderCall> = {}): ProviderCall => ({
  key,
  model: null,
  at,
  endedAt: at + 100,
  status: 200,
  ...more,
});

const accountOf = (calls: readonly ProviderCall[], faults: readonly AppliedFault[]) =>
  explainCalls(calls, faults, options).account;

describe('a call that was made again', () => {
  it('is a retry after a temporary failure', () => {
    const calls = [call('a', 0, { status: 503 }), call('a', 200, { status: 429 }), call('a', 400)];
    expect(accountOf(calls, [])).toMatchObject({ calls: 3, retries: 2, repeats: 0, unexplained: [] });
  });

  it('is a repeat after an answer, whatever the order of the log', () => {
    expect(accountOf([call('a', 5000), call('a', 0)], [])).toMatchObject({
      retries: 0,
      repeats: 1,
      unexplained: ['a'],
    });
  });

  it.each([
    ['the death of a worker', hit('kill -9', 'worker', 50)],
    ['the death of a worker just after it', hit('kill -9', 'worker', 900)],
    ['a stopped worker', hit('SIGSTOP', 'worker', 50, 9000)],
    ['a worker that is cut off', hit('partition', 'worker', 50, 4000)],
    ['a Redis that forgets its last two seconds', fault({ kind: 'Redis kill -9' }, 2000)],
    ['a Redis that forgot who has its job', fault({ kind: 'Redis kill -9' }, -3000, -1000)],
  ])('is explained by %s', (_, applied) => {
    expect(accountOf([call('a', 0), call('a', 9000)], [applied])).toMatchObject({ repeats: 1, explained: 1 });
  });

  it.each([
    ['the death of a worker before it', hit('kill -9', 'worker', -10)],
    ['one long after it', hit('kill -9', 'worker', 5200)],
    ['the death of a collector', hit('kill -9', 'collector', 50)],
    ['a worker that was told to stop', hit('SIGTERM', 'worker', 50, 90)],
    ['a slow Redis', fault({ kind: 'Redis slow' }, 0, 5000)],
  ])('is not explained by %s', (_, applied) => {
    expect(accountOf([call('a', 0), call('a', 9000)], [applied])).toMatchObject({ repeats: 1, unexplained: ['a'] });
  });
});

it('a live call that was made again is explained by an api that was taken for dead, a batch request is not', () => {
  const silenced = hit('partition', 'api', 0, 9000);
  for (const key of ['live_a-0', 'batch_a-0'])
    expect(accountOf([call(key, 0, { aborted: true }), call(key, 9500)], [silenced])).toMatchObject({
      repeats: 1,
      unexplained: key === 'live_a-0' ? [] : [key],
    });
});

it('a fault of a worker may cost as many calls as the worker has in flight', () => {
  const faults = [hit('kill -9', 'worker', 0), hit('kill -9', 'api', 0), fault({ kind: 'Redis kill -9' }, 0)];
  expect(accountOf([], faults).allowed).toBe(5 + 15);
});

it('the calls of a dead worker are timed until they are made again', () => {
  const calls = [
    call('a', 0, { endedAt: 60, aborted: true }),
    call('b', 0, { endedAt: 61, aborted: true }),
    call('c', 0),
    call('a', 7000),
    call('a', 8000),
    call('c', 9000),
  ];
  expect(timesUntilCalledAgain(calls, 58)).toEqual([6942]);
});
