import type { Lane, LaneLimits, LaneTable, Provider } from '@promptmill/core';

export interface LaneOverrides {
  /** Longest time one call may take, in milliseconds. */
  readonly timeoutMs?: number;
  /** Each limit that is set replaces the configuration's. */
  readonly limits: LaneLimits;
}

/** Returns the same lanes, with the command line's timeout and limits in place of the configuration's. */
export const overrideLanes = (table: LaneTable, { timeoutMs, limits }: LaneOverrides): LaneTable => {
  const providers = new Map<Provider, Provider>(
    table.lanes
      .flatMap(({ provider, deployments }) => [provider, ...deployments.map((deployment) => deployment.provider)])
      .map((provider) => [provider, { ...provider, ...(timeoutMs === undefined ? {} : { timeoutMs }) }]),
  );
  const overrideProvider = (provider: Provider): Provider => providers.get(provider) ?? provider;
  const override = (lane: Lane): Lane => ({
    ...lane,
    provider: overrideProvider(lane.provider),
    deployments: lane.deployments.map((deployment) => ({
      ...deployment,
      provider: overrideProvider(deployment.provider),
    })),
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
