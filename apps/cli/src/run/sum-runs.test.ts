import { expect, it } from 'vitest';
import { copiesText } from '../results/batch-summary.ts';
import { sumRuns } from './sum-runs.ts';

const used = { inputTokens: 10, outputTokens: 5, spent: 0.5, wasted: 0 };
const run = (totals: typeof used & { copied?: number; saved?: number | null }) => ({ completed: 3, failed: 1, totals });

it('sums copies and what they saved, a run of an earlier version among them', () => {
  const sum = sumRuns([run({ ...used, copied: 2, saved: 0.25 }), run({ ...used, copied: 1, saved: 0.5 }), run(used)]);
  expect(sum).toEqual({
    model: null,
    request_counts: { total: 12, completed: 9, failed: 3 },
    usage: { input_tokens: 30, output_tokens: 15, total_tokens: 45 },
    promptmill: { copied: 3, cost: { spent: 1.5, wasted: 0, saved_by_cache: 0.75 } },
  });
  expect(copiesText(sum)).toBe('3 results of the same requests, which saved $0.75');
});

it('a sum of savings of which one is unknown is unknown', () => {
  const sum = sumRuns([run({ ...used, copied: 1, saved: null }), run({ ...used, copied: 1, saved: 0.5 })]);
  expect(copiesText(sum)).toBe('2 results of the same requests');
});
