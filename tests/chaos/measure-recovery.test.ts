import { expect, it } from 'vitest';
import type { AppliedFault } from './apply-fault.ts';
import { createMeasureRecovery, longestStandstill } from './measure-recovery.ts';
import type { PlannedFault } from './plan-faults.ts';

const fleet = { worker: 2, collector: 1, api: 1 };
const applied = (planned: Partial<PlannedFault>, fromMs: number, toMs: number, healedMs = toMs): AppliedFault => ({
  planned: { atMs: 0, durationMs: 0, ...planned } as PlannedFault,
  fromMs,
  toMs,
  healedMs,
});
const worker = (index: number, fromMs: number, toMs: number, healedMs?: number): AppliedFault =>
  applied({ kind: 'kill -9', target: { role: 'worker', index } }, fromMs, toMs, healedMs);

const progressMs = [100, 200, 900, 1000];
const due = [{ fromMs: 50, toMs: 1000 }];
const measure = (fault: AppliedFault, others: readonly AppliedFault[] = []) =>
  createMeasureRecovery([fault, ...others], fleet, { progressMs, due })(fault);

it('a recovery lasts from the end of the fault to the next result', () => {
  expect(measure(worker(0, 150, 250))).toBe(650);
});

it('a recovery is not measured when no result was due', () => {
  expect(measure(worker(0, 0, 20))).toBeUndefined();
  expect(measure(worker(0, 0, 1100))).toBeUndefined();
});

it('without a next result, the recovery lasts for as long as one was due', () => {
  const paused = [{ fromMs: 50, toMs: 800 }];
  const measureRecovery = createMeasureRecovery([], fleet, { progressMs, due: paused });
  expect(measureRecovery(worker(0, 150, 250))).toBe(550);
});

it('a recovery begins after a fault of what all processes share', () => {
  expect(measure(worker(0, 150, 250), [applied({ kind: 'provider 503' }, 240, 700)])).toBe(200);
});

it('a recovery begins when there is a worker again', () => {
  expect(measure(worker(0, 210, 210, 600), [worker(1, 205, 205, 800)])).toBe(300);
});

it('a standstill is counted while results are due', () => {
  expect(longestStandstill({ progressMs, due })).toEqual({ fromMs: 200, toMs: 900 });
  expect(longestStandstill({ progressMs: [], due })).toEqual(due[0]);
  expect(longestStandstill({ progressMs: [], due: [] })).toEqual({ fromMs: 0, toMs: 0 });
});
