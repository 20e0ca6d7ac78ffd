import { ApiError, type Endpoint, type LaneTable, mayBeFlex, type ServiceTier } from '@promptmill/core';

/**
 * Refuses a batch that asks for flex where one of its models has none: it would cost twice what its owner expects. Throws a
 * 400 `tier_not_available`.
 */
export const assertTier = (
  lanes: LaneTable,
  tier: ServiceTier | undefined,
  endpoint: Endpoint,
  models: Iterable<string>,
): void => {
  if (tier !== 'flex') return;
  const refuse = (message: string): never => {
    throw new ApiError(400, message, { code: 'tier_not_available', param: 'promptmill.tier' });
  };
  if (!mayBeFlex(endpoint)) refuse(`Requests for ${endpoint} have no flex tier.`);
  for (const model of models) {
    const route = lanes.route(model);
    // A model that no provider takes is refused elsewhere, with a better message.
    if (!route || route.lane.flex) continue;
    const { name } = route.lane.provider;
    refuse(
      `The model \`${model}\` has no flex tier that Promptmill knows of. If it has, say so in promptmill.yaml: ` +
        `providers: { ${name}: { flex: {} } }.`,
    );
  }
};
