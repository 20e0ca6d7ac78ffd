import { expect, it } from 'vitest';
import { createPresentTenants } from './present-tenants.ts';

it('a tenant is present for ten seconds after its latest request', () => {
  let nowMs = 0;
  const present = createPresentTenants(() => nowMs);
  present.note('a');
  expect([present.hasOthers('a'), present.hasOthers('b')]).toEqual([false, true]);
  nowMs = 5000;
  present.note('b');
  expect(present.hasOthers('a')).toBe(true);
  nowMs = 9000;
  present.note('a');
  nowMs = 15_000;
  expect([present.hasOthers('a'), present.hasOthers('b')]).toEqual([false, true]);
});
