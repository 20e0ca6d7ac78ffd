import type { BatchObject, ServiceTier } from '@promptmill/core';
import type { RunBatches } from './open-batches.ts';

const sumOf = (batches: RunBatches, numberOf: (batch: BatchObject) => number): number =>
  batches.reduce((sum, batch) => sum + numberOf(batch), 0);

/** The sum of amounts of money; one that is unknown makes it unknown. */
const moneyOf = (batches: RunBatches, amountOf: (batch: BatchObject) => number | null): number | null =>
  batches.some((batch) => amountOf(batch) === null) ? null : sumOf(batches, (batch) => amountOf(batch) ?? 0);

const tierOf = (batches: RunBatches, tier: ServiceTier) => ({
  answers: sumOf(batches, ({ promptmill }) => promptmill.tiers?.[tier].answers ?? 0),
  spent: moneyOf(batches, ({ promptmill: { tiers } }) => (tiers ? tiers[tier].spent : 0)),
});

/** A run as one batch: the last one, with the counts, the tokens and the price of all. */
export const sumBatches = (batches: RunBatches): BatchObject => {
  const [first] = batches;
  const last = batches.at(-1) ?? first;
  return {
    ...last,
    request_counts: {
      total: first.request_counts.total,
      completed: sumOf(batches, ({ request_counts: { completed } }) => completed),
      failed: last.request_counts.failed,
    },
    usage: {
      ...last.usage,
      input_tokens: sumOf(batches, ({ usage }) => usage.input_tokens),
      output_tokens: sumOf(batches, ({ usage }) => usage.output_tokens),
      total_tokens: sumOf(batches, ({ usage }) => usage.total_tokens),
    },
    promptmill: {
      ...last.promptmill,
      tiers: batches.some(({ promptmill }) => promptmill.tiers)
        ? { flex: tierOf(batches, 'flex'), standard: tierOf(batches, 'standard') }
        : null,
      copied: sumOf(batches, ({ promptmill }) => promptmill.copied),
      cost: {
        ...last.promptmill.cost,
        spent: moneyOf(batches, ({ promptmill }) => promptmill.cost.spent),
        wasted: moneyOf(batches, ({ promptmill }) => promptmill.cost.wasted),
        saved_by_cache: moneyOf(batches, ({ promptmill }) => promptmill.cost.saved_by_cache),
      },
    },
  };
};
