import type { BatchObject } from '@promptmill/core';
import { endOf } from '../batches/batch-summary.ts';

/** How many results and retries a batch had at a time, in Unix seconds. */
export interface ProgressPoint {
  readonly at: number;
  readonly completed: number;
  readonly failed: number;
  readonly retries: number;
}

/**
 * The curve of a batch: from its start, through the points that are known, to what it is now, or was when it ended.
 *
 * @param points oldest first
 * @param nowSeconds Unix time
 */
export const curveOf = (
  batch: BatchObject,
  points: readonly ProgressPoint[],
  nowSeconds: number,
): readonly ProgressPoint[] => {
  const start = batch.in_progress_at;
  if (start === null) return [];
  const { completed, failed } = batch.request_counts;
  const { retries } = batch.promptmill;
  const end = Math.max(start, batch.finalizing_at ?? endOf(batch) ?? nowSeconds);
  const between = points.filter(({ at }) => at > start && at < end);
  return [{ at: start, completed: 0, failed: 0, retries: 0 }, ...between, { at: end, completed, failed, retries }];
};

const sumOf = ({ completed, failed, retries }: ProgressPoint): number => completed + failed + retries;

/** Adds what a batch is now, if the last point is older than a second and something has changed. */
export const addPoint = (points: readonly ProgressPoint[], point: ProgressPoint): readonly ProgressPoint[] => {
  const last = points.at(-1);
  const isNews = !last || (point.at - last.at >= 1 && sumOf(point) !== sumOf(last));
  return isNews ? [...points, point] : points;
};
