import { batchStatuses, endpoints, serviceTiers, strategies } from '@promptmill/core';
import { z } from 'zod';
import { currency, page, queryInteger, seconds, spentUsd, wastedUsd } from '../api-schemas.ts';

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
    saved_by_cache: z.number().nullable().meta({
      description: 'What the calls would have cost that copies saved (`dedupe`, `cache`).',
    }),
  })
  .meta({ description: 'By list prices, or those of the configuration; null where a price is unknown.' });

const tierShare = z.object({
  answers: z.int(),
  spent: z.number().nullable().meta({ description: 'In USD; null where a price is unknown.' }),
});

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
        in_lanes: z.int().meta({ description: 'Requests that are being called or wait for their turn in a lane.' }),
        retries: z.int().meta({ description: 'Calls that failed and were made again; a 429 does not count.' }),
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
              held_until: seconds.nullable().meta({ description: 'Null: until someone acts.' }),
            }),
          )
          .meta({
            description:
              'Lanes of this batch that let no call in for a while, and why; `shards` when a batch API does not take what is ' +
              'handed off to it, `tenant_limit` when a limit of your own ' +
              'keeps calls waiting, and `cost_limit` when `max_cost` or your limit of costs is reached.',
          }),
        blocked: z.object({ code: z.string(), message: z.string() }).nullable().meta({
          description:
            'Why the batch is blocked, such as `no_lane` or `no_space`. It goes on by itself once the cause is gone.',
        }),
        cost: batchCost,
        check_schema: z.boolean().meta({ description: 'Whether answers have to match the schemas of their requests.' }),
        dedupe: z.boolean().meta({ description: 'Whether requests that ask the same are called once.' }),
        cache: z
          .string()
          .nullable()
          .meta({ description: 'How old an answer of another batch may be that is copied.', example: '7d' }),
        tier: z
          .enum(serviceTiers)
          .nullable()
          .meta({ description: 'The tier that its requests begin in. Null: as the configuration says.' }),
        tiers: z
          .object({ flex: tierShare, standard: tierShare })
          .nullable()
          .meta({ description: 'What each tier has answered. Null for a batch without flex.' }),
        copied: z.int().meta({ description: 'Results so far that are copies.' }),
        strategy: z.enum(strategies).meta({
          description: "Whether requests go through their provider's own batch API, where one is configured.",
        }),
        batch_api: z
          .object({
            requests: z.int().meta({ description: 'Requests that were handed off.' }),
            waiting: z.int().meta({ description: 'Those of them that wait for their results there.' }),
            shards: z.int().meta({ description: 'Batches that they were split into.' }),
            open: z.int().meta({ description: 'Those of them that have not ended.' }),
          })
          .nullable()
          .meta({ description: "What went through a provider's own batch API; null when nothing did." }),
        max_cost: z.number().nullable().meta({ description: 'What the batch may cost at most, in USD.' }),
        webhook_url: z.string().nullable().meta({
          description: 'Where the events of this batch go, without its path and query, which may be secret.',
        }),
        webhook_secret: z.string().optional().meta({
          description: 'Signs these events. Only in the answer to the creation, when it chose none.',
        }),
        paused_at: time.meta({
          description: 'Unix time in seconds; null while it is not paused. Reaching `max_cost` pauses a batch too.',
        }),
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
  status: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(batchStatuses)).max(batchStatuses.length))
    .optional()
    .meta({
      description: 'Only batches with one of these statuses, with commas between them.',
      override: { type: 'string' },
    }),
  search: z
    .string()
    .max(100)
    .optional()
    .meta({
      description:
        'Only batches whose id, model or metadata contain this, in capitals or not. A page with `status` or `search` may be ' +
        'short or empty while `has_more` is true: one call looks at 1,000 batches, and `last_id` is the last of them.',
    }),
});
export type BatchQuery = z.output<typeof batchQuery>;

export const eventsQuery = z.object({
  deltas: z
    .enum(['true', 'false'])
    .default('false')
    .transform((value) => value === 'true')
    .meta({ description: 'Whether to send the text of streamed answers (`"stream": true`) as it comes.' }),
  custom_id: z.string().optional().meta({ description: 'Deltas of this request only.' }),
});
export type EventsQuery = z.output<typeof eventsQuery>;

const afterResults = z
  .string()
  .regex(/^(?:end|(?:output|error|\d{1,9})\.\d{1,15})$/, { error: 'it must be the `next` of an earlier answer' })
  .optional();

export const resultsQuery = z.object({
  after: afterResults.meta({
    description:
      'The `next` of the answer before; at first, leave it out. `end` passes over what there is, to read what comes later.',
  }),
  limit: queryInteger(1, 1000, 100),
  status: z.enum(['completed', 'failed']).optional().meta({
    description:
      'Only results that count as this. Once the batch has ended they come from its output or error file, in input order.',
  }),
  error_code: z.string().max(64).optional().meta({
    description: 'Only failures with this `error.code`, or status code, `code` or `type` of the answer.',
  }),
  search: z
    .string()
    .max(200)
    .optional()
    .meta({
      description:
        'Only results whose line contains this, in capitals or not. A page with `status`, `error_code` or `search` may be ' +
        'short or empty while `has_more` is true: one call looks at 16 MiB of results.',
    }),
});
export type ResultsQuery = z.output<typeof resultsQuery>;

export const failuresQuery = z.object({
  after: afterResults.meta({ description: 'The `next` of the answer before; at first, leave it out.' }),
});
export type FailuresQuery = z.output<typeof failuresQuery>;

export const failuresPage = z
  .object({
    object: z.literal('list'),
    data: z
      .array(
        z.object({
          code: z.string().meta({ description: '`error_codes` of a retry takes it.' }),
          count: z.int(),
          example: z.object({ custom_id: z.string(), message: z.string() }).meta({ description: 'The first of them.' }),
        }),
      )
      .meta({ description: 'The most frequent first; 100 at most. Add up what all answers count.' }),
    next: z.string(),
    has_more: z.boolean().meta({ description: 'Whether there are results that no answer has counted yet.' }),
  })
  .meta({ id: 'FailureList' });

const maxIndexes = 20;

export const requestsQuery = z.object({
  indexes: z
    .string()
    .regex(/^\d{1,9}(?:,\d{1,9})*$/, { error: 'it must be numbers with commas between them' })
    .transform((text) => [...new Set(text.split(',').map(Number))].toSorted((a, b) => a - b))
    .refine((indexes) => indexes.length <= maxIndexes, { error: `it may name ${maxIndexes} requests` })
    .meta({
      description: `Positions in the input, from 0: the number at the end of a result's \`id\`. Up to ${maxIndexes}.`,
      override: { type: 'string', example: '0,1,17' },
    }),
});
export type RequestsQuery = z.output<typeof requestsQuery>;

export const requestList = z
  .object({
    object: z.literal('list'),
    data: z.array(
      z.object({
        index: z.int(),
        custom_id: z.string(),
        url: z.string(),
        body: z.unknown().optional().meta({
          description: 'Absent when the line has more than 64 KiB, unless it is the only one that is asked for.',
        }),
      }),
    ),
  })
  .meta({ id: 'RequestList' });

export const progressList = z
  .object({
    object: z.literal('list'),
    data: z
      .array(z.object({ at: seconds, completed: z.int(), failed: z.int(), retries: z.int() }))
      .meta({ description: 'Oldest first; 240 at most. The batch itself says where it began and what it is now.' }),
  })
  .meta({ id: 'ProgressList' });

export const resultsPage = z
  .object({
    object: z.literal('list'),
    data: z
      .array(
        z.object({
          id: z.string(),
          custom_id: z.string(),
          response: z.object({ status_code: z.int(), request_id: z.string(), body: z.unknown() }).nullable(),
          error: z.object({ code: z.string(), message: z.string() }).nullable().meta({
            description:
              'Beside a `response` of status 200: why that answer, which was paid for, is not what was asked for.',
          }),
          promptmill: z
            .object({
              model: z.string().optional().meta({ description: 'The model that answered, when a fallback has.' }),
              fallback_from: z.string().optional().meta({ description: 'The model that the request names then.' }),
              tier: z
                .enum(serviceTiers)
                .optional()
                .meta({ description: 'The tier that answered, of a request that began in flex.' }),
              tier_from: z.literal('flex').optional().meta({ description: 'Set when the request has left flex.' }),
              cost_usd: z.number().optional().meta({
                description: 'What the answer cost, in USD. Absent when its price is unknown, and when no answer came.',
              }),
              copied_from: z.string().optional().meta({
                description: 'The `custom_id` of the request whose result this is a copy of.',
              }),
              copied_from_batch: z.string().optional().meta({ description: 'Its batch, when it is another one.' }),
              saved_usd: z.number().optional().meta({
                description: 'What a call would have cost in place of the copy. Absent when that is unknown.',
              }),
            })
            .optional(),
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
