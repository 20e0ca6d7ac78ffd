import type { CostLimit } from './batch.ts';
import type { CostLimits } from './tenant-config.ts';

/** When a tenant's limit is open again: the next day or month begins (UTC), in Unix milliseconds. */
export const costLimitEndsMs = (limit: Exclude<CostLimit, 'max_cost'>, nowMs: number): number => {
  const now = new Date(nowMs);
  const [year, month] = [now.getUTCFullYear(), now.getUTCMonth()];
  return limit === 'usdPerDay' ? Date.UTC(year, month, now.getUTCDate() + 1) : Date.UTC(year, month + 1, 1);
};

/** Why a call is not made, for its owner to read. */
export const formatCostLimit = (limit: CostLimit, limits: CostLimits, nowMs: number): string => {
  if (limit === 'max_cost') return 'The batch has reached its max_cost.';
  const until = new Date(costLimitEndsMs(limit, nowMs)).toISOString().slice(0, 16).replace('T', ' ');
  return `You have reached your limit ${limit}: ${limits[limit]}. It is open again from ${until} UTC, or when it is raised.`;
};
