import { type BatchObject, costLimitName } from '@promptmill/core';
import { expect, it } from 'vitest';
import { nextStepOf, providerStepOf } from './next-step.ts';

type Extension = BatchObject['promptmill'];

const batch = (promptmill: Partial<Extension>, status: BatchObject['status'] = 'in_progress'): BatchObject =>
  ({
    id: 'batch_1',
    status,
    promptmill: { blocked: null, paused_at: null, waiting_for: [], max_cost: null, ...promptmill },
  }) as unknown as BatchObject;
const heldBy = (lane: string, until: number | null) => [{ lane, reason: '401', message: null, held_until: until }];

it.each<[string, BatchObject, string | undefined]>([
  ['runs', batch({}), undefined],
  ['has ended', batch({ paused_at: 1 }, 'completed'), undefined],
  ['is paused', batch({ paused_at: 1 }), 'promptmill resume batch_1'],
  [
    'has reached its max_cost',
    batch({ paused_at: 1, max_cost: 2.5, waiting_for: heldBy(costLimitName, null) }),
    'promptmill resume batch_1 --max-cost 5',
  ],
  ["waits for its tenant's money", batch({ max_cost: 2.5, waiting_for: heldBy(costLimitName, 99) }), undefined],
  ['waits for a while', batch({ waiting_for: heldBy('xai', 99) }), undefined],
  [
    'waits for a provider until someone acts',
    batch({ waiting_for: heldBy('xai.grok-4', null) }),
    'promptmill doctor --provider xai, where the workers run',
  ],
  [
    'has no collector',
    batch({ blocked: { code: 'no_collector', message: '' } }),
    'promptmill serve has a collector; without it, start one beside the api',
  ],
])('the next step of a batch that %s', (_what, of, step) => {
  expect(nextStepOf(of)).toBe(step);
});

it('what a run waits for is looked at on its own machine', () => {
  expect(providerStepOf(batch({ waiting_for: heldBy('xai.grok-4', null) }))).toBe('promptmill doctor --provider xai');
  expect(providerStepOf(batch({ waiting_for: heldBy(costLimitName, null) }))).toBeUndefined();
});
