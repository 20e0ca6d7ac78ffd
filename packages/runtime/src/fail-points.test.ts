import { expect, it, vi } from 'vitest';
import { createFailPoints } from './fail-points.ts';

it('kills the process at the named pass of the named point, and at no other', () => {
  const die = vi.fn();
  const passFailPoint = createFailPoints({ point: 'jobs-added', pass: 2 }, die);
  passFailPoint('cursor-moved');
  passFailPoint('jobs-added');
  passFailPoint('cursor-moved');
  expect(die).not.toHaveBeenCalled();
  passFailPoint('jobs-added');
  expect(die).toHaveBeenCalledOnce();
});

it('does nothing when none is named', () => {
  const die = vi.fn();
  createFailPoints(undefined, die)('jobs-added');
  expect(die).not.toHaveBeenCalled();
});
