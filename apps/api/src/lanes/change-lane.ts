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
 * `POST /v1/admin/lanes/{lane}`: changes limits of a lane while it runs, for all workers, in place of the configured ones.
 * They last as Redis's data does. 404 for a lane that is not configured here.
 */
export const changeLane = (
  dependencies: Pick<ApiDependencies, 'config' | 'redis' | 'keys' | 'countLiveCalls' | 'logger' | 'now'>,
) => {
  const { config, redis, keys, countLiveCalls, logger } = dependencies;
  const showLane = createShowLane(dependencies);
  return async ({ params, body }: Call<LaneParams, unknown, ChangeLaneBody>) => {
    const lane = config.lanes.lanes.find(({ name }) => name === params.lane);
    if (!lane) throw new ApiError(404, `There is no lane '${params.lane}'.`, { code: 'lane_not_found', param: 'lane' });
    await changeLaneLimits(redis, keys, lane.name, toChanges(body));
    const shown = await showLane(lane, (await countLiveCalls.byLane()).get(lane.name));
    logger.info({ lane: lane.name, limits: shown.limits }, 'the limits of a lane were changed');
    return shown;
  };
};
