import { isTenantName, tenantNameRule } from '@promptmill/core';
import { z } from 'zod';
import { currency, queryInteger, spentUsd, wastedUsd } from '../api-schemas.ts';

const range = (what: string) =>
  z
    .object({ low: z.number().nullable(), expected: z.number().nullable(), high: z.number().nullable() })
    .meta({ description: what });

const cost = range(
  'In USD. `expected` needs known answers of the model, `high` those or `max_tokens`; all need its price. ' +
    'With `dedupe` or `cache` each request counts as called, but `low` is 0.',
).extend({ currency });
const outputTokens = range('From the known answers of the model, and `max_tokens`.');
const inputTokens = z.int().meta({ description: 'Counted, and put right with the known answers of the model.' });

export const batchEstimate = z
  .object({
    object: z.literal('batch.estimate'),
    requests: z.int(),
    counted_requests: z
      .int()
      .meta({ description: 'Of a large input some requests are counted and stand for the others.' }),
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    cost,
    models: z.array(
      z.object({
        model: z.string().meta({ example: 'xai/grok-4.3' }),
        requests: z.int(),
        known_answers: z
          .int()
          .meta({ description: 'Your answers of this model in the last days, up to some thousand.' }),
        input_tokens: inputTokens,
        output_tokens: outputTokens,
        cost,
      }),
    ),
  })
  .meta({ id: 'BatchEstimate' });

const dayMs = 86_400_000;
/** Usage is kept for 400 days. */
const mostDays = 400;

const day = z.iso.date().optional();

const days = {
  from: day.meta({ description: 'The first day, in UTC, as `2026-11-28`; default 29 days before `to`.' }),
  to: day.meta({ description: 'The last day, in UTC; default today.' }),
};

const by = <const T extends readonly string[]>(values: T) => z.enum(values).default(values[0] as T[number]);

export const usageQuery = z.object({
  ...days,
  by: by(['day', 'model', 'batch']).meta({
    description:
      'A sum for each day, model or batch. A batch counts on the day of its creation, and as long as it is kept.',
  }),
  after: z.string().optional().meta({ description: 'With `by=batch`: the id of the last batch of the page before.' }),
  limit: queryInteger(1, 100, 20).meta({ description: 'With `by=batch`: most batches of a page.' }),
});
export type UsageQuery = z.output<typeof usageQuery>;

export const adminUsageQuery = z.object({
  ...days,
  by: by(['tenant', 'day', 'model']),
  tenant: z
    .string()
    .refine(isTenantName, { error: `it must be ${tenantNameRule}` })
    .optional()
    .meta({ description: 'Default: all tenants.' }),
});
export type AdminUsageQuery = z.output<typeof adminUsageQuery>;

export const usageList = z
  .object({
    object: z.literal('list'),
    data: z.array(
      z.object({
        object: z.literal('usage'),
        day: z.string().optional(),
        model: z.string().optional().meta({ description: '`other` stands for those of a day that named too many.' }),
        batch_id: z.string().optional(),
        tenant: z.string().optional(),
        answers: z.int().meta({ description: 'Results that a model gave.' }),
        input_tokens: z.int(),
        cached_tokens: z.int().meta({ description: 'Of the input tokens.' }),
        output_tokens: z.int(),
        reasoning_tokens: z.int().meta({ description: 'Of the output tokens.' }),
        cost: z
          .object({
            currency,
            spent: spentUsd,
            spent_known: z.number().meta({ description: 'What the results of known price cost.' }),
            wasted: wastedUsd,
          })
          .meta({ description: 'Null where a part of the sum has an unknown price.' }),
        unpriced_answers: z.int().meta({ description: 'Answers of unknown cost.' }),
      }),
    ),
    has_more: z.boolean(),
  })
  .meta({ id: 'UsageList' });

const startOf = (text: string): number => Date.parse(`${text}T00:00:00Z`);

/** The days that a query names, the first and the last included. Undefined when there are none or too many. */
export const daysOf = (
  { from, to }: Pick<UsageQuery, 'from' | 'to'>,
  today: string,
): { readonly days: readonly string[]; readonly fromMs: number; readonly beforeMs: number } | undefined => {
  const lastMs = startOf(to ?? today);
  const fromMs = from === undefined ? lastMs - 29 * dayMs : startOf(from);
  const count = (lastMs - fromMs) / dayMs + 1;
  if (!(count >= 1 && count <= mostDays)) return undefined;
  const named = Array.from({ length: count }, (_, i) => new Date(fromMs + i * dayMs).toISOString().slice(0, 10));
  return { days: named, fromMs, beforeMs: lastMs + dayMs };
};
