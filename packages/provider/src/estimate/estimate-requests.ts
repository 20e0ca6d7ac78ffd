import { fullModelName, type LaneTable, type ServiceTier } from '@promptmill/core';
import { createPriceList } from '../price-list.ts';
import {
  estimateModel,
  type KnownAnswers,
  type ModelEstimate,
  type ModelSample,
  type Range,
} from './estimate-model.ts';
import type { Samples } from './measure-requests.ts';

/** What requests will use and cost, all together and by the model that answers them. */
export interface RequestsEstimate extends ModelEstimate {
  readonly models: readonly (ModelEstimate & {
    /** `provider/model`, or as the requests name it when no provider takes it. */
    readonly model: string;
    readonly requests: number;
    /** How many answers of the model are known. */
    readonly knownAnswers: number;
  })[];
}

export interface EstimateRequestsOptions {
  /** How many requests there are, of which the samples are a part. */
  readonly requests: number;
  /** At least one. */
  readonly samples: Samples;
  /** What is known of the answers of models, by `provider/model`. Default: nothing. */
  readonly known?: ReadonlyMap<string, KnownAnswers>;
  /** The tier that the batch asks for. Default: as the configuration says. */
  readonly tier?: ServiceTier | undefined;
}

const sumOf = (values: readonly (number | null)[]): number | null =>
  values.some((value) => value === null) ? null : values.reduce<number>((sum, value) => sum + (value ?? 0), 0);

const sumOfRanges = (ranges: readonly Range[]): Range => ({
  low: sumOf(ranges.map(({ low }) => low)),
  expected: sumOf(ranges.map(({ expected }) => expected)),
  high: sumOf(ranges.map(({ high }) => high)),
});

/** Estimates together. What one of them does not know, their sum does not know. */
export const sumEstimates = (estimates: readonly ModelEstimate[]): ModelEstimate => ({
  inputTokens: estimates.reduce((sum, { inputTokens }) => sum + inputTokens, 0),
  outputTokens: sumOfRanges(estimates.map(({ outputTokens }) => outputTokens)),
  usd: sumOfRanges(estimates.map(({ usd }) => usd)),
});

/** How many requests are in samples. */
export const countSampled = (samples: Samples): number =>
  [...samples.values()].reduce((sum, { requests }) => sum + requests, 0);

const withHigh = (estimate: ModelEstimate, { usd }: ModelEstimate): ModelEstimate => ({
  ...estimate,
  usd: { ...estimate.usd, high: usd.high },
});

/**
 * Makes the estimate of what requests will use and cost, by the prices that hold now.
 *
 * @param now the time in milliseconds
 */
export const createEstimateRequests = ({ lanes, now }: { readonly lanes: LaneTable; readonly now: () => number }) => {
  const prices = createPriceList(now);

  return async ({ requests, samples, known, tier }: EstimateRequestsOptions): Promise<RequestsEstimate> => {
    const counted = countSampled(samples);
    const estimateOf = async (named: string, sample: ModelSample): Promise<RequestsEstimate['models'][number]> => {
      const route = lanes.route(named);
      const model = route ? fullModelName(route) : named;
      const answers = known?.get(model);
      const share = Math.round((requests * sample.requests) / counted);
      const estimateAt = async (service_tier?: ServiceTier): Promise<ModelEstimate> => {
        const found = route && (await prices.pricesOf(route.lane.provider, { model: route.model, service_tier }));
        return estimateModel(share, sample, answers, found);
      };
      const standard = await estimateAt();
      const isFlex = route?.lane.flex !== undefined && (tier ?? route.lane.tiers[0]) === 'flex';
      // At worst all requests step up.
      const estimate = isFlex ? withHigh(await estimateAt('flex'), standard) : standard;
      return { ...estimate, model, requests: share, knownAnswers: answers?.answers ?? 0 };
    };
    const models = await Promise.all([...samples].map(([named, sample]) => estimateOf(named, sample)));
    return { ...sumEstimates(models), models };
  };
};
