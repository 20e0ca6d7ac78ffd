import { type Batch, nanosToUsd } from '@promptmill/core';
import { addModelUsage, dayOf, type ModelUsage } from '@promptmill/queue';
import type { z } from 'zod';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { badRequest } from '../request-problem.ts';
import { type AdminUsageQuery, daysOf, type usageList, type UsageQuery } from './spending-schemas.ts';

type UsageList = z.output<typeof usageList>;
type Row = UsageList['data'][number];
type Dependencies = Pick<ApiDependencies, 'batches' | 'usage' | 'tenantIndex' | 'now'>;

/** What is asked for: usage by day and model, each under the name of its row. */
interface Part {
  readonly row: string;
  readonly usage: ModelUsage;
}

const toRow = (name: Partial<Row>, usage: Omit<ModelUsage, 'model' | 'inputCharacters'>): Row => ({
  object: 'usage',
  ...name,
  answers: usage.answers,
  input_tokens: usage.inputTokens,
  cached_tokens: usage.cachedTokens,
  output_tokens: usage.outputTokens,
  reasoning_tokens: usage.reasoningTokens,
  cost: {
    currency: 'USD',
    spent: usage.unpriced > 0 ? null : nanosToUsd(usage.spentNanoUsd),
    spent_known: nanosToUsd(usage.spentNanoUsd),
    wasted: usage.unpricedWaste > 0 ? null : nanosToUsd(usage.wastedNanoUsd),
  },
  unpriced_answers: usage.unpriced,
});

const toBatchRow = ({ id, completed, usage, cost }: Batch): Row =>
  toRow({ batch_id: id }, { answers: completed, ...usage, ...cost });

/** A row for each name, in order. */
const toRows = (by: 'day' | 'model' | 'tenant', parts: readonly Part[]): Row[] => {
  const sums = new Map<string, ModelUsage>();
  for (const { row, usage } of parts) {
    const before = sums.get(row);
    sums.set(row, before ? addModelUsage(before, usage) : usage);
  }
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, usage]) => toRow({ [by]: name }, usage));
};

const readDays = (query: Pick<UsageQuery, 'from' | 'to'>, nowMs: number) => {
  const span = daysOf(query, dayOf(nowMs));
  if (span) return span;
  const message = "Invalid 'from': it must not be after 'to', and at most 399 days before it.";
  throw badRequest({ message, code: 'invalid_value', param: 'from' });
};

const createReadParts =
  ({ usage }: Pick<Dependencies, 'usage'>) =>
  async (tenant: string, days: readonly string[], by: 'day' | 'model' | 'tenant'): Promise<Part[]> => {
    const found = await Promise.all(days.map((day) => usage.ofDay(tenant, day)));
    return found.flatMap((ofDay, i) =>
      ofDay.map((each) => ({
        row: by === 'day' ? (days[i] ?? '') : by === 'model' ? each.model : tenant,
        usage: each,
      })),
    );
  };

/** `GET /v1/usage`: what the tenant has used and spent. */
export const reportUsage = (dependencies: Dependencies) => {
  const { batches, now } = dependencies;
  const readParts = createReadParts(dependencies);
  return async ({ tenant, query }: Call<unknown, UsageQuery>): Promise<UsageList> => {
    const { by, after, limit } = query;
    const { days, ...created } = readDays(query, now());
    if (by !== 'batch') return { object: 'list', data: toRows(by, await readParts(tenant, days, by)), has_more: false };
    const found = await batches.list(tenant, { after, limit, created });
    if (!found)
      throw badRequest({ message: `No batch found with id '${after}'.`, code: 'invalid_value', param: 'after' });
    return { object: 'list', data: found.items.map(toBatchRow), has_more: found.hasMore };
  };
};

/** `GET /v1/admin/usage`: what one tenant, or all of them, have used and spent. */
export const reportAnyUsage = (dependencies: Dependencies) => {
  const { tenantIndex, now } = dependencies;
  const readParts = createReadParts(dependencies);
  return async ({ query }: Call<unknown, AdminUsageQuery>): Promise<UsageList> => {
    const { by, tenant } = query;
    const { days } = readDays(query, now());
    const parts: Part[] = [];
    // One tenant after another: each takes a command for each day.
    for (const each of tenant === undefined ? await tenantIndex.all() : [tenant])
      parts.push(...(await readParts(each, days, by)));
    return { object: 'list', data: toRows(by, parts), has_more: false };
  };
};
