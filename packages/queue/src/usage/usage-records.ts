import type { BatchCost, BatchUsage } from '@promptmill/core';
import type { RedisConnection } from '../connection/redis.ts';
import type { Keys } from '../keys.ts';

/** What several scripts need to count usage. */
export const countUsage = new URL('./count-usage.lua', import.meta.url);

/** What a tenant has used of a model: the sums over the results that calls gave. */
export interface ModelUsage extends BatchUsage, BatchCost {
  /** `provider/model`; `other` stands for those of a day that named too many. */
  readonly model: string;
  readonly answers: number;
  /** Characters of the texts of those requests. */
  readonly inputCharacters: number;
}

/** The day of a time in UTC, as `2026-11-28`. */
export const dayOf = (timeMs: number): string => new Date(timeMs).toISOString().slice(0, 10);

const nothing = {
  answers: 0,
  inputTokens: 0,
  cachedTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
  inputCharacters: 0,
  spentNanoUsd: 0,
  unpriced: 0,
  wastedNanoUsd: 0,
  unpricedWaste: 0,
};
type Sum = keyof typeof nothing;

/** The sum of two usages, under the model of the first. */
export const addModelUsage = (a: ModelUsage, b: ModelUsage): ModelUsage => {
  const sums = (Object.keys(nothing) as Sum[]).map((name) => [name, a[name] + b[name]] as const);
  return { model: a.model, ...nothing, ...Object.fromEntries(sums) };
};

/** What tenants have used, by day and model. It is kept for 400 days. The scripts that record results count it. */
export const createUsageRecords = (redis: RedisConnection, keys: Keys) => ({
  /** What a tenant has used of each model in a day, in no particular order. */
  async ofDay(tenant: string, day: string): Promise<ModelUsage[]> {
    const models = new Map<string, Record<Sum, number> & { model: string }>();
    for (const [field, value] of Object.entries(await redis.hgetall(keys.usage(tenant, day)))) {
      const colon = field.indexOf(':');
      const model = field.slice(colon + 1);
      const usage = models.get(model) ?? { model, ...nothing };
      models.set(model, usage);
      usage[field.slice(0, colon) as Sum] = Number(value);
    }
    return [...models.values()];
  },
});

export type UsageRecords = ReturnType<typeof createUsageRecords>;
