import { type Batch, costLimitEndsMs, describeMaxCost, formatCostLimit, type Tenants } from '@promptmill/core';
import type { BatchStore, ReservedCosts } from '@promptmill/queue';

export interface LookAtCostOptions {
  readonly batches: Pick<BatchStore, 'noteCostReached'>;
  readonly costs: Pick<ReservedCosts, 'look'>;
  readonly limitsOf: Tenants['limitsOf'];
  readonly now: () => number;
}

/**
 * Looks whether a batch that a limit of its cost holds may go on. Once its calls in flight have ended and no money is left
 * for another, it notes that the limit is reached, for its owner to read.
 */
export const createLookAtCost =
  ({ batches, costs, limitsOf, now }: LookAtCostOptions) =>
  async (batch: Batch): Promise<'open' | 'calls in flight' | 'reached'> => {
    const look = await costs.look(batch);
    if (look.kind === 'open') return 'open';
    if (look.isInFlight) return 'calls in flight';
    const { limit } = look;
    const { reached } = batch.costHold ?? {};
    if (batch.costHold?.limit === limit && reached) return 'reached';
    const at = Math.floor(now() / 1000);
    await batches.noteCostReached(
      batch.id,
      limit === 'max_cost'
        ? { at, reason: describeMaxCost(batch) }
        : { at, reason: formatCostLimit(limit, limitsOf(batch.tenant), now()), untilMs: costLimitEndsMs(limit, now()) },
    );
    return 'reached';
  };
