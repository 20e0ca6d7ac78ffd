import { ApiError, buildLimits, type LimitsConfig } from '@promptmill/core';
import { changeLaneLimits, type LaneLimitChanges } from '@promptmill/queue';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { ChangeLaneBody, LaneParams } from './lane-schemas.ts';
import { createShowLane } from './show-lane.ts';

const toChanges = (body: ChangeLaneBody): LaneLimitChanges => {
  const {
    concurrency,
    requests_per_minute: perMinute,
    requests_per_second: perSecond,
    tokens_per_minute: tokens,
  } = body;
  const namesRate = perMinute !== undefined || perSecond !== undefined;
  const { requests } = buildLimits({
    ...(perMinute ? { requestsPerMinute: perMinute } : {}),
    ...(perSecond ? { requestsPerSecond: perSecond } : {}),
  } satisfies LimitsConfig);
  return {
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(namesRate ? { requests: requests ?? null } : {}),
    ...(tokens === undefined ? {} : { tokensPerMinute: tokens }),
  };
};

/**
 * `POST /v1/admin/lanes/{lane}`: changes limits of a lane, or of its deployment `lane@deployment`, while it runs, for all
 * workers, in place of the configured ones. They last as Redis's data does. Answers with the lane. 404 for one that is not
 * configured here.
 */
export const changeLane = (
  dependencies: Pick<ApiDependencies, 'config' | 'redis' | 'keys' | 'countLiveCalls' | 'logger' | 'now'>,
) => {
  const { config, redis, keys, countLiveCalls, logger } = dependencies;
  const showLane = createShowLane(dependencies);
  return async ({ params, body }: Call<LaneParams, unknown, ChangeLaneBody>) => {
    const isChanged = ({ name }: { readonly name: string }): boolean => name === params.lane;
    const lane = config.lanes.lanes.find((each) => isChanged(each) || each.deployments.some(isChanged));
    if (!lane) throw new ApiError(404, `There is no lane '${params.lane}'.`, { code: 'lane_not_found', param: 'lane' });
    await changeLaneLimits(redis, keys, params.lane, toChanges(body));
    const shown = await showLane(lane, (await countLiveCalls.byLane()).get(lane.name));
    const { limits } = shown.deployments.find(({ id }) => id === params.lane) ?? shown;
    logger.info({ lane: params.lane, limits }, 'the limits of a lane were changed');
    return shown;
  };
};
