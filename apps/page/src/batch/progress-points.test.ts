import type { BatchObject } from '@promptmill/core';
import { expect, it } from 'vitest';
import { addPoint, curveOf } from './progress-points.ts';

const batchWith = (more: object): BatchObject =>
  ({
    in_progress_at: 100,
    finalizing_at: null,
    completed_at: null,
    failed_at: null,
    expired_at: null,
    cancelled_at: null,
    request_counts: { total: 10, completed: 8, failed: 1 },
    promptmill: { retries: 0 },
    ...more,
  }) as unknown as BatchObject;

const point = (at: number, completed: number, failed = 0) => ({ at, completed, failed, retries: 0 });

it('draws a batch from its start to what it is now, or was at its end', () => {
  const points = [point(101, 2), point(105, 6)];
  expect(curveOf(batchWith({}), points, 110)).toEqual([point(100, 0), ...points, point(110, 8, 1)]);
  expect(curveOf(batchWith({ finalizing_at: 103, completed_at: 104 }), points, 110)).toEqual([
    point(100, 0),
    point(101, 2),
    point(103, 8, 1),
  ]);
  expect(curveOf(batchWith({ in_progress_at: null }), [], 110)).toEqual([]);
});

it('takes a point a second, where something has changed', () => {
  const points = [point(100, 1)];
  expect(addPoint(points, point(100, 2))).toBe(points);
  expect(addPoint(points, point(105, 1))).toBe(points);
  expect(addPoint(points, point(101, 2))).toEqual([point(100, 1), point(101, 2)]);
});
