import type { z } from 'zod';
import type { ApiDependencies } from '../dependencies.ts';
import type { laneList } from './lane-schemas.ts';
import { createShowLane } from './show-lane.ts';

/** `GET /v1/lanes`: what each lane is doing now. */
export const listLanes = (
  dependencies: Pick<ApiDependencies, 'config' | 'redis' | 'keys' | 'countLiveCalls' | 'now'>,
) => {
  const { config, countLiveCalls } = dependencies;
  const showLane = createShowLane(dependencies);
  return async (): Promise<z.output<typeof laneList>> => {
    const liveCalls = await countLiveCalls.byLane();
    const data = await Promise.all(config.lanes.lanes.map((lane) => showLane(lane, liveCalls.get(lane.name))));
    return { object: 'list', data };
  };
};
