import {
  type Batch,
  type CostHold,
  costLimitEndsMs,
  costPauseOf,
  describeMaxCost,
  formatCostLimit,
  type Tenants,
} from '@promptmill/core';
import type { BatchStore, ReservedCosts } from '@promptmill/queue';
import type { TellWebhooks } from '../webhooks/tell-webhooks.ts';

export interface LookAtCostOptions {
  readonly batches: Pick<BatchStore, 'noteCostReached'>;
  readonly costs: Pick<ReservedCosts, 'look'>;
  readonly limitsOf: Tenants['limitsOf'];
  readonly tell: TellWebhooks;
  readonly now: () => number;
}

/**
 * Looks whether a batch that a limit of its cost holds may go on. Once its calls in flight have ended and no money is left
 * for another, it notes that the limit is reached, for its owner to read, and tells the webhooks.
 */
export const createLookAtCost = ({ batches, costs, limitsOf, tell, now }: LookAtCostOptions) => {
  const tellPause = async (batch: Batch, costHold: CostHold): Promise<void> => {
    const event = costPauseOf({ ...batch, costHold });
    if (event) await tell(batch, event);
  };

  return async (batch: Batch): Promise<'open' | 'calls in flight' | 'reached'> => {
    const look = await costs.look(batch);
    if (look.kind === 'open') return 'open';
    if (look.isInFlight) return 'calls in flight';
    const { limit } = look;
    const { costHold } = batch;
    if (costHold?.limit === limit && costHold.reached) {
      await tellPause(batch, costHold);
      return 'reached';
    }
    const at = Math.floor(now() / 1000);
    const reached =
      limit === 'max_cost'
        ? { at, reason: describeMaxCost(batch) }
        : { at, reason: formatCostLimit(limit, limitsOf(batch.tenant), now()), untilMs: costLimitEndsMs(limit, now()) };
    await batches.noteCostReached(batch.id, reached);
    await tellPause(batch, { limit, reached });
    return 'reached';
  };
};
