import { expect, test } from 'vitest';
import { BehaviourError, changeBehaviour, defaultBehaviour } from './behaviour.ts';

test('a change replaces what it names and leaves the rest', () => {
  const limited = changeBehaviour(defaultBehaviour, { limits: { requestsPerMinute: 60 }, faults: { hang: 0.1 } });
  const changed = changeBehaviour(limited, { faults: { '503': 0.2 } });
  expect(changed).toEqual({ ...defaultBehaviour, limits: { requestsPerMinute: 60 }, faults: { '503': 0.2 } });
  expect(changeBehaviour(changed, { limits: {} }).limits).toEqual({});
});

test.each([
  { latencyMs: 5 },
  { latency: { kind: 'fixed' } },
  { latency: { kind: 'normal', ms: 5 } },
  { errorRate: 1.1 },
  { errorStatus: 200 },
  { faults: { hnag: 0.1 } },
  { faults: { '200': 0.1 } },
  { faults: { hang: 0.6, html: 0.6 } },
  { errorRate: 0.5, faults: { hang: 0.6 } },
  { limits: { requestsPerMinute: 0 } },
  { limits: { requestsPerMinute: 10, windowMs: 1000 } },
  [],
  null,
])('%j is refused', (change) => {
  expect(() => changeBehaviour(defaultBehaviour, change)).toThrow(BehaviourError);
});
