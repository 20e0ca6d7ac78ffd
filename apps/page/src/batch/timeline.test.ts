import type { BatchObject } from '@promptmill/core';
import { expect, it } from 'vitest';
import { momentsOf } from './timeline.ts';

const batchWith = (more: object): BatchObject =>
  ({
    created_at: 100,
    in_progress_at: 101,
    expires_at: 900,
    finalizing_at: null,
    completed_at: null,
    failed_at: null,
    expired_at: null,
    cancelling_at: null,
    cancelled_at: null,
    promptmill: { paused_at: null },
    ...more,
  }) as unknown as BatchObject;

const textsOf = (more: object): string[] => momentsOf(batchWith(more)).map(({ what, at }) => `${at} ${what}`);

it('tells what has happened in order, and by when a running batch ends', () => {
  expect(textsOf({ promptmill: { paused_at: 300 } })).toEqual([
    '100 Created',
    '101 Input checked, calls begin',
    '300 Paused',
    '900 Expires',
  ]);
  expect(textsOf({ cancelling_at: 200, cancelled_at: 210 })).toEqual([
    '100 Created',
    '101 Input checked, calls begin',
    '200 Cancel asked',
    '210 Cancelled',
  ]);
});
