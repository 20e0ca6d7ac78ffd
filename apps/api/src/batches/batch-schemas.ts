import {
  batchStatuses,
  completionWindowSeconds,
  endpoints,
  isJsonObject,
  maxCustomIdLength,
  maxModelLength,
  type Prompt,
} from '@promptmill/core';
import { z } from 'zod';
import { currency, expiresAfter, page, queryInteger, seconds, spentUsd, wastedUsd } from '../api-schemas.ts';

const time = seconds.nullable();

const batchCost = z
  .object({
    currency,
    estimated: z.number().nullable().meta({
      description:
        'What the whole batch will cost when its other answers cost as much as those so far; null before the first and after the end.',
    }),
    spent: spentUsd,
    wasted: wastedUsd,
  })
  .meta({ description: 'By list prices, or those of the configuration; null where a price is unknown.' });

/** Source: https://platform.openai.com/docs/api-reference/batch/object */
export const batchObject = z
  .object({
    id: z.string().meta({ example: 'batch_0123456789abcdef0123456789abcdef' }),
    object: z.literal('batch'),
    endpoint: z.enum(endpoints),
    model: z.string().nullable().meta({ description: 'The one model that all requests name, if they do.' }),
    errors: z
      .object({
        object: z.literal('list'),
        data: z
          .array(
            z.object({
              code: z.string(),
              message: z.string(),
              param: z.string().nullable(),
              line: z.int().nullable().meta({ description: 'In the input file, from 1.' }),
            }),
          )
          .readonly(),
      })
      .nullable()
      .meta({ description: 'Why the batch failed: what is wrong with its input, 100 entries at most.' }),
    input_file_id: z.string(),
    completion_window: z.string(),
    status: z.enum(batchStatuses),
    output_file_id: z.string().nullable(),
    error_file_id: z.string().nullable(),
    created_at: seconds,
    in_progress_at: time,
    expires_at: seconds,
    finalizing_at: time,
    completed_at: time,
    failed_at: time,
    expired_at: time,
    cancelling_at: time,
    cancelled_at: time,
    request_counts: z.object({ total: z.int(), completed: z.int(), failed: z.int() }),
    usage: z.object({
      input_tokens: z.int(),
      input_tokens_details: z.object({ cached_tokens: z.int() }),
      output_tokens: z.int(),
      output_tokens_details: z.object({ reasoning_tokens: z.int() }),
      total_tokens: z.int(),
    }),
    metadata: z.record(z.string(), z.string()).readonly().nullable(),
    promptmill: z
      .object({
        requests_per_second: z
          .number()
          .nullable()
          .meta({ description: 'Results a second, lately; null before the first and after the end.' }),
        eta_seconds: z.int().nullable().meta({ description: 'At that rate.' }),
        waiting_for: z
          .array(
            z.object({
              lane: z.string(),
              reason: z.string().meta({ description: 'A code, and the HTTP status when an answer came.' }),
              message: z.string().nullable().meta({
                description: "The provider's own words, when it refused a request of this batch with that reason.",
              }),
              held_until: seconds,
            }),
          )
          .meta({
            description:
              'Lanes of this batch that let no call in for a while, and why; `tenant_limit` when a limit of your own ' +
              'keeps calls waiting.',
          }),
        blocked: z.object({ code: z.string(), message: z.string() }).nullable().meta({
          description:
            'Why the batch is blocked, such as `no_lane` or `no_space`. It goes on by itself once the cause is gone.',
        }),
        cost: batchCost,
        paused_at: time.meta({ description: 'Unix time in seconds; null while it is not paused.' }),
        retry_of: z.string().nullable().meta({ description: 'The batch whose requests this one runs again.' }),
        retried_by: z
          .array(z.string())
          .readonly()
          .meta({ description: 'Batches that run requests of this one again: the last 100.' }),
      })
      .meta({ description: "Beyond OpenAI's batch object." }),
  })
  .meta({ id: 'Batch' });

export const batchPage = page(batchObject).meta({ id: 'BatchList' });

export const batchParams = z.object({ batch_id: z.string() });
export type BatchParams = z.output<typeof batchParams>;

export const batchQuery = z.object({
  after: z.string().optional().meta({ description: 'The id of the last batch of the page before.' }),
  limit: queryInteger(1, 100, 20),
});
export type BatchQuery = z.output<typeof batchQuery>;

/** Its size is checked before its items: a hostile list of a million items must not be given a million complaints. */
const boundedArray = <T extends z.ZodType>(item: T, maxItems: number) =>
  z.array(z.unknown()).min(1).max(maxItems).pipe(z.array(item));

const metadata = z
  .unknown()
  .refine((pairs) => !isJsonObject(pairs) || Object.keys(pairs).length <= 16, { error: 'it may have 16 pairs at most' })
  .pipe(z.record(z.string().max(64), z.string().max(512)).nullish())
  .optional()
  .meta({
    description: 'Up to 16 pairs; keys up to 64 characters, values up to 512.',
    override: {
      anyOf: [
        { type: 'object', maxProperties: 16, additionalProperties: { type: 'string', maxLength: 512 } },
        { type: 'null' },
      ],
    },
  });

const completionWindow = z
  .string()
  .refine((window) => completionWindowSeconds(window) !== undefined, {
    error: 'it must be from 1h to 30d, such as 24h',
  })
  .meta({ description: 'Whole minutes, hours or days from `1h` to `30d`.', example: '24h' });

const fileBatch = z
  .strictObject({
    input_file_id: z.string(),
    endpoint: z.enum(endpoints),
    completion_window: completionWindow,
    metadata,
    output_expires_after: expiresAfter.nullish(),
  })
  .meta({ id: 'CreateBatchFromFile' });

const customId = z.string().min(1).max(maxCustomIdLength).optional();
const modelName = z.string().min(1).max(maxModelLength).optional();

/** Not looked at member by member: they go to the provider as they are. */
const messages = z
  .array(z.unknown())
  .min(1)
  .refine((all) => all.every((message) => isJsonObject(message) && typeof message['role'] === 'string'))
  .meta({
    override: { type: 'array', minItems: 1, items: { type: 'object', required: ['role'], additionalProperties: true } },
  });

/** Checked one by one before they are written to the input file: there may be many. */
export const prompt = z
  .union([
    z.string(),
    z.strictObject({ custom_id: customId, prompt: z.string(), model: modelName }),
    z.strictObject({ custom_id: customId, messages, model: modelName }),
  ])
  .meta({ id: 'Prompt' }) satisfies z.ZodType<string | Prompt>;

/** They are in each line, and are read with each line. */
const maxParamsCharacters = 128 * 1024;

const promptBatch = z
  .strictObject({
    model: modelName.meta({ description: 'The model of prompts that name none.', example: 'xai/grok-4' }),
    prompts: z
      .array(z.unknown())
      .min(1)
      .meta({ override: { type: 'array', minItems: 1, items: { $ref: '#/components/schemas/Prompt' } } }),
    system: z.string().optional().meta({ description: 'The system message before each prompt.' }),
    params: z
      .unknown()
      .refine(isJsonObject, { error: 'it must be an object', abort: true })
      .refine((params) => JSON.stringify(params).length <= maxParamsCharacters, {
        error: `it may have ${maxParamsCharacters} characters`,
      })
      .optional()
      .meta({
        description: `Further fields of each request’s body; up to ${maxParamsCharacters} characters as JSON.`,
        override: { type: 'object', additionalProperties: true, examples: [{ max_tokens: 500 }] },
      }),
    endpoint: z.literal('/v1/chat/completions').default('/v1/chat/completions'),
    completion_window: completionWindow.default('24h'),
    metadata,
    output_expires_after: expiresAfter.nullish(),
  })
  .meta({ id: 'CreateBatchFromPrompts' });
export type PromptBatch = z.output<typeof promptBatch>;

export const createBatchBody = z.union([fileBatch, promptBatch]);
export type CreateBatchBody = z.output<typeof createBatchBody>;

export const retryBatchBody = z
  .strictObject({
    custom_ids: boundedArray(z.string().max(maxCustomIdLength), 10_000)
      .optional()
      .meta({
        description: 'These requests, failed or not; up to 10,000.',
        override: {
          type: 'array',
          minItems: 1,
          maxItems: 10_000,
          items: { type: 'string', maxLength: maxCustomIdLength },
        },
      }),
    error_codes: boundedArray(z.string().max(64), 100)
      .optional()
      .meta({
        override: { type: 'array', minItems: 1, maxItems: 100, items: { type: 'string', maxLength: 64 } },
        description:
          'Requests that failed with one of these: `error.code`, or the status code, `code` or `type` of the answer. Without ' +
          '`custom_ids` and `error_codes`, all that failed; with both, those that either names.',
        example: ['request_timeout', '503', 'batch_expired'],
      }),
    completion_window: completionWindow.optional(),
    metadata,
  })
  .meta({ id: 'RetryBatch', description: 'What is left out is as in the batch that is retried.' })
  .optional();
export type RetryBatchBody = z.output<typeof retryBatchBody>;

/** Whether a body is meant to create a batch from a file or from prompts, whatever else is wrong with it. */
export const createBatchKind = (body: unknown): z.ZodType<CreateBatchBody> =>
  typeof body === 'object' && body !== null && 'prompts' in body ? promptBatch : fileBatch;

export const eventsQuery = z.object({
  deltas: z
    .enum(['true', 'false'])
    .default('false')
    .transform((value) => value === 'true')
    .meta({ description: 'Whether to send the text of streamed answers (`"stream": true`) as it comes.' }),
  custom_id: z.string().optional().meta({ description: 'Deltas of this request only.' }),
});
export type EventsQuery = z.output<typeof eventsQuery>;

export const resultsQuery = z.object({
  after: z
    .string()
    .regex(/^\d{1,9}\.\d{1,15}$/, { error: 'it must be the `next` of an earlier answer' })
    .default('0.0')
    .meta({ description: 'The `next` of the answer before; at first, leave it out.' }),
  limit: queryInteger(1, 1000, 100),
});
export type ResultsQuery = z.output<typeof resultsQuery>;

export const resultsPage = z
  .object({
    object: z.literal('list'),
    data: z
      .array(
        z.object({
          id: z.string(),
          custom_id: z.string(),
          response: z.object({ status_code: z.int(), request_id: z.string(), body: z.unknown() }).nullable(),
          error: z.object({ code: z.string(), message: z.string() }).nullable(),
          promptmill: z
            .object({ model: z.string(), fallback_from: z.string() })
            .optional()
            .meta({ description: 'When a fallback has answered: the model that did, and the one the request names.' }),
        }),
      )
      .meta({
        description:
          'Lines as they will be in the output or error file, in the order they were collected. A result may, seldom, ' +
          'come twice, with the same id; requests that never ran are in the error file only.',
      }),
    next: z.string().meta({ description: 'Give it as `after` to go on from here, now or later.' }),
    has_more: z.boolean().meta({ description: 'Whether more results are there already.' }),
  })
  .meta({ id: 'ResultList' });
