import { type BatchUsage, type CallUsage, costOf, type Lane, modelName, type RequestJob } from '@promptmill/core';
import { inputCharactersOf, type PriceList } from '@promptmill/provider';
import type { Charge, RecordOutcome } from '@promptmill/queue';
import type { Metrics } from '@promptmill/runtime';
import type { RequestRecorder } from './request-recorder.ts';
import type { UntilRedisTakes } from './until-redis-takes.ts';

export interface ChargeCallsOptions {
  readonly lane: Lane;
  readonly prices: PriceList;
  readonly recorder: Pick<RequestRecorder, 'noteWaste'>;
  readonly untilRedisTakes: UntilRedisTakes;
  readonly metrics: Pick<Metrics, 'spending'>;
}

/** Says what the calls of a lane cost, and whom. */
export const createChargeCalls = (options: ChargeCallsOptions) => {
  const { lane, prices, recorder, untilRedisTakes, metrics } = options;

  /**
   * The charge for a call that used so much.
   *
   * @param serviceTier the tier in which the answer says that it is billed. Default: the one that was asked for
   */
  const chargeFor = async (request: RequestJob, usage: CallUsage, serviceTier?: string): Promise<Charge> => {
    const body = serviceTier === undefined ? request.body : { ...request.body, service_tier: serviceTier };
    const found = await prices.pricesOf(lane.provider, body);
    const nanoUsd = found && costOf(usage, found);
    const inputCharacters = inputCharactersOf(request.body);
    return { tenant: request.tenant, model: modelName(lane, request), nanoUsd, inputCharacters };
  };

  return {
    chargeFor,

    /** Counts a recorded answer for the process's metrics. */
    count(outcome: RecordOutcome, usage: BatchUsage, charge: Charge): void {
      metrics.spending.add(charge, outcome === 'recorded' ? usage : undefined);
    },

    /** Counts a failed call whose provider says what it used. Resolves with the charge for it. */
    async waste(request: RequestJob, usage: CallUsage): Promise<Charge> {
      const charge = await chargeFor(request, usage);
      await untilRedisTakes(() => recorder.noteWaste(request, charge));
      metrics.spending.add(charge, undefined);
      return charge;
    },
  };
};

export type ChargeCalls = ReturnType<typeof createChargeCalls>;
