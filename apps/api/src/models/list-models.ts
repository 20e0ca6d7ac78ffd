import { mayUseModel } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { toModelObject } from './model-schemas.ts';

/** The simulator needs no key and no real model, so it is listed wherever it is configured. */
const simulatorModel = 'simulator/echo';

/**
 * `GET /v1/models`: the models that the configuration names and the tenant may use. A provider's other models work as
 * `provider/model` too, but only the provider knows their names. Only the workers know whether a key is set.
 */
export const listModels = ({ config, tenants, now }: Pick<ApiDependencies, 'config' | 'tenants' | 'now'>) => {
  const { lanes } = config.lanes;
  const configured = [...new Set(lanes.filter(({ tier }) => !tier).map((lane) => lane.provider))].flatMap(
    ({ name, models, prices }) => Object.keys({ ...models, ...prices }).map((model) => `${name}/${model}`),
  );
  const ids = [...new Set([...configured, ...(config.lanes.route(simulatorModel) ? [simulatorModel] : [])])];
  const createdAtMs = now();
  return async ({ tenant }: Call) => {
    const limits = tenants.limitsOf(tenant);
    const mayBeUsed = ids.filter((id) => mayUseModel(limits, id));
    return { object: 'list' as const, data: mayBeUsed.map((id) => toModelObject(id, createdAtMs)) };
  };
};
