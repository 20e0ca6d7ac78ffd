import {
  describeMissing,
  fullModelName,
  type LaneTable,
  mayUseModel,
  modelNotAllowed,
  type ModelRefusal,
  type TenantLimits,
} from '@promptmill/core';

/** Why a tenant's batch may not use a model; undefined when it may. */
export const findRefusal = (lanes: LaneTable, limits: TenantLimits, model: string): ModelRefusal | undefined => {
  const route = lanes.route(model);
  if (!route) return { code: 'model_not_found', message: describeMissing(lanes, model) };
  return mayUseModel(limits, fullModelName(route)) ? undefined : modelNotAllowed(model);
};
