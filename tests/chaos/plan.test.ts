import { describe, expect, it } from 'vitest';
import { faultKinds, isProcessFault, planFaults } from './plan-faults.ts';
import { inputOfSubmission, planWorkload } from './plan-workload.ts';
import { createRandom } from './random.ts';

const fleet = { worker: 3, collector: 2, api: 2 };
const faultsOf = (seed: number, seconds = 600) => planFaults(createRandom(seed), { fleet, durationMs: seconds * 1000 });
const workloadOf = (seed: number, requests = 40_000) =>
  planWorkload(createRandom(seed), { requests, durationMs: 600_000, apis: 2 });

const seeds = Array.from({ length: 20 }, (_, seed) => seed);

describe('the faults', () => {
  it('are the same for the same seed, and others for another', () => {
    expect(faultsOf(1)).toEqual(faultsOf(1));
    expect(faultsOf(1)).not.toEqual(faultsOf(2));
  });

  it('come every 1 to 5 s, and are over in time', () => {
    for (const faults of seeds.map((seed) => faultsOf(seed, 120))) {
      expect(faults.length).toBeGreaterThan(20);
      for (const { atMs, durationMs } of faults) expect(atMs + durationMs).toBeLessThan(120_000);
    }
  });

  it('are of every kind', () => {
    const kinds = faultKinds.filter((kind) => kind !== 'Redis loses its tail');
    for (const seed of seeds) expect(new Set(faultsOf(seed).map(({ kind }) => kind))).toEqual(new Set(kinds));
  });

  it('leave a process alone until it has settled', () => {
    for (const faults of seeds.map((seed) => faultsOf(seed))) {
      const freeMs = new Map<string, number>();
      for (const fault of faults) {
        const whom = isProcessFault(fault) ? `${fault.target.role} ${fault.target.index}` : 'all';
        expect(fault.atMs).toBeGreaterThanOrEqual(freeMs.get(whom) ?? 0);
        freeMs.set(whom, fault.atMs + fault.durationMs);
      }
    }
  });
});

describe('the workload', () => {
  it('is the same for the same seed, prompts and all', () => {
    expect(workloadOf(1)).toEqual(workloadOf(1));
    const [first] = workloadOf(1);
    expect(inputOfSubmission(first!)).toBe(inputOfSubmission(first!));
    expect(workloadOf(1)).not.toEqual(workloadOf(2));
  });

  it('has as many requests as asked for, in batches of 1 to 5000', () => {
    for (const plan of seeds.map((seed) => workloadOf(seed))) {
      expect(plan.reduce((sum, { requests }) => sum + requests, 0)).toBe(40_000);
      for (const { requests } of plan) {
        expect(requests).toBeGreaterThanOrEqual(1);
        expect(requests).toBeLessThanOrEqual(5000);
      }
    }
  });

  it('has a line for each request, each with its own prompt', () => {
    for (const submission of workloadOf(3, 2000)) {
      const lines = inputOfSubmission(submission).trimEnd().split('\n');
      expect(new Set(lines).size).toBe(submission.requests);
    }
  });
});
