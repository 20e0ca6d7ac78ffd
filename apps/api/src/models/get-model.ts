import { ApiError, fullModelName, mayUseModel } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type ModelParams, toModelObject } from './model-schemas.ts';

/**
 * `GET /v1/models/{model}`: 404 when no provider takes the model, or the tenant may not use it. Only the provider knows
 * whether it has a model that the configuration does not name.
 */
export const getModel = ({ config, tenants, now }: Pick<ApiDependencies, 'config' | 'tenants' | 'now'>) => {
  const createdAtMs = now();
  return async ({ tenant, params: { model } }: Call<ModelParams>) => {
    const found = config.lanes.route(model);
    const id = found && fullModelName(found);
    if (id === undefined || !mayUseModel(tenants.limitsOf(tenant), id))
      throw new ApiError(404, `The model '${model}' does not exist or you do not have access to it.`, {
        code: 'model_not_found',
        param: 'model',
      });
    return toModelObject(id, createdAtMs);
  };
};
