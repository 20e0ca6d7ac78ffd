import { z } from 'zod';

/** Unix time in seconds. */
export const seconds = z.int().meta({ description: 'Unix time in seconds.' });

/** A whole number in a query string. */
export const queryInteger = (min: number, max: number, byDefault: number) =>
  z.coerce
    .number()
    .pipe(z.int().min(min).max(max))
    .default(byDefault)
    .meta({ override: { type: 'integer', minimum: min, maximum: max, default: byDefault } });

/** Its size is checked before its items: a hostile list of a million items must not be given a million complaints. */
export const boundedArray = <T extends z.ZodType>(item: T, maxItems: number) =>
  z.array(z.unknown()).min(1).max(maxItems).pipe(z.array(item));

/** When an input file, or the files of a batch, are deleted. */
export const expiresAfter = z
  .strictObject({
    anchor: z.literal('created_at'),
    seconds: z.int().min(3600).max(2_592_000).meta({ description: 'From 1 hour to 30 days.' }),
  })
  .meta({ description: 'When a file is deleted.' });

export const currency = z.literal('USD');
export const spentUsd = z.number().nullable().meta({ description: 'What the results cost.' });
export const wastedUsd = z.number().nullable().meta({
  description: 'What calls cost that gave no result, such as those that were made twice when a worker was lost.',
});

export const errorBody = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string().nullable(),
    }),
  })
  .meta({ id: 'Error' });

/** A page of a list, newest first unless asked otherwise. Source: https://platform.openai.com/docs/api-reference/batch/list */
export const page = <T extends z.ZodType>(item: T) =>
  z.object({
    object: z.literal('list'),
    data: z.array(item),
    first_id: z.string().nullable(),
    last_id: z.string().nullable().meta({ description: 'Give it as `after` to get the next page.' }),
    has_more: z.boolean(),
  });

/** @param lastId default: that of the last item */
export const toPage = <T extends { readonly id: string }>(data: T[], hasMore: boolean, lastId?: string) => ({
  object: 'list' as const,
  data,
  first_id: data[0]?.id ?? null,
  last_id: lastId ?? data.at(-1)?.id ?? null,
  has_more: hasMore,
});
