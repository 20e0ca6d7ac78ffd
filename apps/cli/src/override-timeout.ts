import type { Lane, LaneTable } from '@promptmill/core';

/** The same lanes, each call to their providers given `timeoutMs`. */
export const overrideTimeout = (table: LaneTable, timeoutMs: number): LaneTable => {
  const providers = new Map(table.lanes.map(({ provider }) => [provider.name, { ...provider, timeoutMs }] as const));
  const withTimeout = (lane: Lane): Lane => ({ ...lane, provider: providers.get(lane.provider.name) ?? lane.provider });
  return {
    lanes: table.lanes.map(withTimeout),
    route(model) {
      const route = table.route(model);
      return route && { ...route, lane: withTimeout(route.lane) };
    },
  };
};
