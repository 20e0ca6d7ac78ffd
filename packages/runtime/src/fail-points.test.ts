import { expect, it, vi } from 'vitest';
import { createFailPoints } from './fail-points.ts';

it('kills the process at the named pass of the named point, and at no other', () => {
  const die = vi.fn();
  const reach = createFailPoints({ point: 'jobs-added', pass: 2 }, die);
  reach('cursor-moved');
  reach('jobs-added');
  reach('cursor-moved');
  expect(die).not.toHaveBeenCalled();
  reach('jobs-added');
  expect(die).toHaveBeenCalledOnce();
});

it('does nothing when none is named', () => {
  const die = vi.fn();
  createFailPoints(undefined, die)('jobs-added');
  expect(die).not.toHaveBeenCalled();
});
