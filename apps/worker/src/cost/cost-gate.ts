import { randomUUID } from 'node:crypto';
import {
  type CostLimit,
  type CostLimits,
  formatCostLimit,
  type Lane,
  limitsCost,
  modelName,
  type RequestJob,
  type Tenants,
} from '@promptmill/core';
import type { PriceList } from '@promptmill/provider';
import { type CostSource, type ReservedCost, type ReservedCosts, reservedCostLastsMs } from '@promptmill/queue';
import type { UntilRedisTakes } from '../until-redis-takes.ts';
import type { FirstCost } from './first-cost.ts';

/** Why a request gets no money for a call. */
export type CostRefusal =
  | { readonly kind: 'limit'; readonly limit: CostLimit; readonly message: string }
  | { readonly kind: 'unpriced'; readonly message: string };

/** The money for the calls of one run of a request's job. */
export interface CostShare {
  /**
   * Reserves what the request is expected to cost, where a limit concerns it. Resolves with why it may not be called, or
   * with undefined.
   *
   * @param isCapped whether its batch has a `max_cost`
   */
  reserve(isCapped: boolean): Promise<CostRefusal | undefined> | undefined;
  /** Settles the call before, and reserves the same for one more call, where the call before was limited. */
  reserveAgain(): Promise<CostRefusal | undefined>;
  /** Notes what an answer cost, in billionths of a dollar; undefined when that is unknown. */
  note(nanoUsd: number | undefined): void;
  /** Gives back what was reserved. What was spent has been counted by then. */
  end(): Promise<void> | undefined;
}

export interface CostGateOptions {
  readonly tenants: Pick<Tenants, 'limitsOf' | 'limitCosts'>;
  readonly costs: Pick<ReservedCosts, 'reserve' | 'keep' | 'settle'>;
  readonly prices: PriceList;
  readonly firstCost: FirstCost;
  /** Writes what live calls have used, which is counted now and then. */
  readonly writeLiveUsage: () => Promise<void>;
  readonly untilRedisTakes: UntilRedisTakes;
  readonly onError: (error: unknown) => void;
  readonly now: () => number;
}

const keepEveryMs = reservedCostLastsMs / 5;
const maxKnown = 1000;

const unpricedMessage = (model: string): string =>
  `The price of ${model} for this request is not known, and its cost is limited. ` +
  'Its prices can be given in promptmill.yaml (providers, models, prices).';

/** Lets calls in as far as the money of their batch and of their tenant goes. */
export const createCostGate = (options: CostGateOptions) => {
  const { tenants, costs, prices, firstCost, writeLiveUsage, untilRedisTakes, onError, now } = options;
  const held = new Map<ReservedCost, CostSource>();
  /** What calls of a source and model cost, where Redis knows their average: their tokens need no count. */
  const known = new Map<string, number>();

  const keeping = setInterval(() => {
    for (const [source, reserved] of Map.groupBy(held.keys(), (each) => held.get(each)))
      if (source) costs.keep(source, reserved).catch(onError);
  }, keepEveryMs);

  const reserveFor = async (
    request: RequestJob,
    lane: Lane,
    source: CostSource,
  ): Promise<ReservedCost | CostRefusal> => {
    const model = modelName(lane, request);
    const found = await prices.pricesOf(lane.provider, request.body);
    // Calls of a flex lane have an average cost of their own.
    const priced = lane.tier ? `${model} ${lane.tier}` : model;
    const key = `${source.tenant} ${source.batchId} ${priced}`;
    const firstNanoUsd = found && (known.get(key) ?? (await firstCost(request, found)));
    if (firstNanoUsd === undefined) return { kind: 'unpriced', message: unpricedMessage(model) };
    const call = { id: randomUUID(), model: priced, firstNanoUsd };
    const answer = await untilRedisTakes(() => costs.reserve(source, call));
    if (answer.kind === 'reserved') return answer;
    const { limit } = answer;
    return { kind: 'limit', limit, message: formatCostLimit(limit, tenants.limitsOf(request.tenant), now()) };
  };

  return {
    open(request: RequestJob, lane: Lane): CostShare {
      let reserved: ReservedCost | undefined;
      let source: CostSource | undefined;
      let cost: number | 'unknown' | undefined;
      const isLimited = (isCapped: boolean): boolean =>
        isCapped || (tenants.limitCosts() && limitsCost(tenants.limitsOf(request.tenant) satisfies CostLimits));

      const reserve = async (): Promise<CostRefusal | undefined> => {
        const { tenant, batchId, live } = request;
        source = { tenant, ...(live ? {} : { batchId }) };
        const answer = await reserveFor(request, lane, source);
        if (answer.kind !== 'reserved') return answer;
        reserved = answer;
        held.set(answer, source);
        return undefined;
      };

      const settle = async (from: CostSource, settled: ReservedCost): Promise<void> => {
        if (request.live && cost !== undefined) await writeLiveUsage().catch(onError);
        held.delete(settled);
        if (typeof cost === 'number') {
          if (known.size >= maxKnown) known.clear();
          known.set(`${from.tenant} ${from.batchId} ${settled.model}`, settled.nanoUsd);
        }
        await untilRedisTakes(() => costs.settle(from, settled, cost));
      };
      const end = (): Promise<void> | undefined => (source && reserved ? settle(source, reserved) : undefined);

      return {
        reserve: (isCapped) => (isLimited(isCapped) ? reserve() : undefined),
        async reserveAgain() {
          if (!reserved) return undefined;
          await end();
          reserved = undefined;
          cost = undefined;
          return reserve();
        },
        note(nanoUsd) {
          if (nanoUsd === undefined) cost = 'unknown';
          else if (cost !== 'unknown') cost = (cost ?? 0) + nanoUsd;
        },
        end,
      };
    },

    close: (): void => clearInterval(keeping),
  };
};

export type CostGate = ReturnType<typeof createCostGate>;
