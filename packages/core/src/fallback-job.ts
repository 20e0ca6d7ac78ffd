import type { Lane, Route } from './lanes.ts';
import type { RequestJob } from './request-job.ts';
import { withoutTier } from './service-tier.ts';

/** The model of a request in a lane, as requests name it. */
export const modelName = (lane: Lane, { body }: Pick<RequestJob, 'body'>): string =>
  `${lane.provider.name}/${body.model}`;

/**
 * The job that a request has in the lane of one of its fallbacks. The first fallback of a request in a flex lane may be its
 * own model: then it steps up to the standard tier.
 *
 * @param at which of its fallbacks
 * @param to where that model's requests go
 */
export const fallbackJob = (request: RequestJob, from: Lane, at: number, to: Route): RequestJob => {
  const { fallback: chain, ...rest } = request;
  const models = chain?.models.slice(at + 1) ?? [];
  const isFlex = from.tier === 'flex';
  const body = { ...(isFlex ? withoutTier(rest.body) : rest.body), model: to.model };
  const model = modelName(from, request);
  const isStep = isFlex && modelName(to.lane, { body }) === model;
  // These terms are those of its flex lane.
  const { patienceMs: _patience, giveUpAtMs: _giveUp, ...terms } = chain ?? { models: [], deadlineNearMs: 0 };
  return {
    ...rest,
    body,
    ...(isFlex ? { tierFrom: 'flex' } : {}),
    ...(isStep ? {} : { fallbackFrom: rest.fallbackFrom ?? model }),
    ...(models.length > 0 ? { fallback: { ...terms, models } } : {}),
  };
};
