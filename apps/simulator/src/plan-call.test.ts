import { createRandom } from '@promptmill/core';
import { expect, test } from 'vitest';
import { changeBehaviour, defaultBehaviour } from './behaviour.ts';
import { createCallCounter } from './call-counter.ts';
import { readMarkers } from './markers.ts';
import { createCallPlanner } from './plan-call.ts';

function planner(change: object = {}) {
  const behaviour = changeBehaviour(defaultBehaviour, change);
  const plan = createCallPlanner({ counter: createCallCounter(100), random: createRandom(5) });
  return (prompt: string, idempotencyKey: string | null = null) =>
    plan({ prompt, markers: readMarkers(prompt), idempotencyKey }, behaviour);
}

test('faults come at the rates that are asked for', () => {
  const plan = planner({ errorRate: 0.1, errorStatus: 502, faults: { hang: 0.2, '429': 0.3 } });
  const counts: Record<string, number> = {};
  for (let call = 0; call < 10_000; call++) {
    const { fault } = plan('Hi');
    const name = fault?.name === 'status' ? String(fault.status) : String(fault?.name);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  expect(counts['502']! / 10_000).toBeCloseTo(0.1, 1);
  expect(counts['hang']! / 10_000).toBeCloseTo(0.2, 1);
  expect(counts['429']! / 10_000).toBeCloseTo(0.3, 1);
  expect(counts['undefined']! / 10_000).toBeCloseTo(0.4, 1);
});

test('a prompt with markers meets no fault by rate', () => {
  const plan = planner({ errorRate: 1 });
  expect(plan('[[sim:latency=20]]')).toEqual({ latencyMs: 20, fault: undefined });
  expect(plan('Hi').fault).toMatchObject({ status: 500 });
});

test('the calls of a prompt with markers are counted by key, or by prompt when they have no key', () => {
  const plan = planner();
  const prompt = '[[sim:fault=html;times=1]]';
  const faulty = [plan(prompt, 'a'), plan(prompt, 'b'), plan(prompt, 'a'), plan(prompt), plan(prompt)].map(
    ({ fault }) => fault !== undefined,
  );
  expect(faulty).toEqual([true, true, false, true, false]);
});
