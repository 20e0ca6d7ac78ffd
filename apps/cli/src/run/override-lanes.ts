import type { Lane, LaneLimits, LaneTable } from '@promptmill/core';

export interface LaneOverrides {
  /** Longest time one call may take, in milliseconds. */
  readonly timeoutMs?: number;
  /** Each limit that is set replaces the configuration's. */
  readonly limits: LaneLimits;
}

/** Returns the same lanes, with the command line's timeout and limits in place of the configuration's. */
export const overrideLanes = (table: LaneTable, { timeoutMs, limits }: LaneOverrides): LaneTable => {
  const providers = new Map(
    table.lanes.map(({ provider }) => [provider, { ...provider, ...(timeoutMs === undefined ? {} : { timeoutMs }) }]),
  );
  const override = (lane: Lane): Lane => ({
    ...lane,
    provider: providers.get(lane.provider) ?? lane.provider,
    limits: { ...lane.limits, ...limits },
  });
  return {
    ...table,
    lanes: table.lanes.map(override),
    route(model) {
      const route = table.route(model);
      return route && { ...route, lane: override(route.lane) };
    },
  };
};
