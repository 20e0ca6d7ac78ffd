import { ApiError, fullModelName, type LaneTable, limitsCost, type Route, type TenantLimits } from '@promptmill/core';
import { createPriceList } from '@promptmill/provider';

export interface CheckPricesOptions {
  readonly lanes: LaneTable;
  readonly limitsOf: (tenant: string) => TenantLimits;
  readonly now: () => number;
}

/**
 * Refuses models whose price is not known where their cost is limited: a limit cannot hold what nobody can count. A model
 * includes its fallbacks. Throws a 400 `price_unknown`.
 */
export const createCheckPrices = ({ lanes, limitsOf, now }: CheckPricesOptions) => {
  const prices = createPriceList(now);

  const isPriced = async ({ lane, model }: Route): Promise<boolean> => {
    const found = await prices.pricesOf(lane.provider, { model });
    return found?.input !== undefined;
  };
  const refuse = (route: Route, param: string | null): never => {
    const [provider, { model }] = [route.lane.provider.name, route];
    const isOwn = param !== null;
    const message =
      `The price of ${fullModelName(route)} is not known, so ${isOwn ? 'max_cost' : 'your limit of costs'} could not hold. ` +
      `Give it in promptmill.yaml, in USD per million tokens: providers: { ${provider}: { models: { ${JSON.stringify(model)}: ` +
      '{ prices: { input: …, output: … } } } } }.';
    throw new ApiError(400, message, { code: 'price_unknown', param });
  };

  /** @param param the field that limits the cost; undefined when the request has none, and only the tenant may be limited */
  return async (tenant: string, models: Iterable<string>, param: string | undefined): Promise<void> => {
    if (param === undefined && !limitsCost(limitsOf(tenant))) return;
    for (const name of models) {
      const route = lanes.route(name);
      // A model that no provider takes is refused elsewhere, with a better message.
      if (!route) continue;
      for (const each of [route, ...route.lane.fallback.map((model) => lanes.route(model))])
        if (each && !(await isPriced(each))) refuse(each, param ?? null);
    }
  };
};

export type CheckPrices = ReturnType<typeof createCheckPrices>;
