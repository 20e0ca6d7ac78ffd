import type { BatchObject } from '@promptmill/core';
import { expect, it } from 'vitest';
import { sumBatches } from '../run/sum-batches.ts';
import { tiersText } from './batch-summary.ts';

const batchOf = (tiers: BatchObject['promptmill']['tiers']): BatchObject =>
  ({
    request_counts: { total: 0, completed: 0, failed: 0 },
    usage: {},
    promptmill: { cost: { spent: 0, wasted: 0, saved_by_cache: 0 }, copied: 0, tiers },
  }) as unknown as BatchObject;

it('says the share and the price of each tier, and nothing of a batch without flex', () => {
  const tiers = { flex: { answers: 3, spent: 0.12 }, standard: { answers: 1, spent: 0.08 } };
  expect(tiersText(batchOf(tiers))).toBe('75 % flex ($0.12), 25 % standard ($0.08)');
  const unpriced = { flex: { answers: 0, spent: null }, standard: { answers: 0, spent: null } };
  expect(tiersText(batchOf(unpriced))).toBe('0 % flex, 0 % standard');
  expect(tiersText(batchOf(null))).toBeNull();
});

it('adds up the tiers of a run and of its retries', () => {
  const tiers = { flex: { answers: 3, spent: 0.25 }, standard: { answers: 1, spent: 0.5 } };
  const sum = { flex: { answers: 6, spent: 0.5 }, standard: { answers: 2, spent: 1 } };
  expect(sumBatches([batchOf(tiers), batchOf(tiers)]).promptmill.tiers).toEqual(sum);
  expect(sumBatches([batchOf(tiers), batchOf(null)]).promptmill.tiers).toEqual(tiers);
  expect(sumBatches([batchOf(null)]).promptmill.tiers).toBeNull();
});
