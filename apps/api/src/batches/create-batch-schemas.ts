import {
  completionWindowSeconds,
  endpoints,
  isJsonObject,
  maxCustomIdLength,
  maxModelLength,
  maxUsd,
  serviceTiers,
  type Prompt,
  strategies,
} from '@promptmill/core';
import { z } from 'zod';
import { boundedArray, expiresAfter } from '../api-schemas.ts';
import { webhookSecret, webhookUrl } from '../webhooks/webhook-schemas.ts';

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
    error: 'it must be from 1m to 30d, such as 24h',
  })
  .meta({ description: 'Whole minutes, hours or days from `1m` to `30d`.', example: '24h' });

const maxCost = z
  .number()
  .positive()
  .max(maxUsd)
  .meta({ description: 'What the batch may cost at most, in USD. Each model needs a known price.', example: 5 });

const extension = z
  .strictObject({
    check_schema: z
      .boolean()
      .default(false)
      .meta({
        description:
          'Whether each answer has to match the JSON schema that its request names (`response_format`, or `text.format` of ' +
          '`/v1/responses`). One that does not is asked for once more, with what is wrong with it in the conversation.',
      }),
    max_cost: maxCost.optional(),
    dedupe: z
      .boolean()
      .optional()
      .meta({
        description:
          'Whether requests that ask the same are called once: each other one gets a copy of the first result, be it an ' +
          'answer or an error. Embeddings and moderations count, and requests for one answer with `temperature` 0 or a ' +
          '`seed`. Default: no; for a retry, as in the batch that is retried.',
      }),
    tier: z
      .enum(serviceTiers)
      .optional()
      .meta({
        description:
          '`flex`: requests go to the flex tier of their model, which is cheaper and slower. As many step up to the standard ' +
          'tier as are needed for the batch to end in time. Each model must have a flex tier. Default: as the ' +
          'configuration says (`tiers`); for a retry, as in the batch that is retried.',
      }),
    cache: z
      .string()
      .refine((age) => completionWindowSeconds(age) !== undefined, { error: 'it must be from 1m to 30d, such as 7d' })
      .optional()
      .meta({
        description:
          'A request that asks the same as one that your batches with `cache` have answered within this time gets a copy of ' +
          'that answer, as long as its output file is there. Whole minutes, hours or days from `1m` to `30d`.',
        example: '7d',
      }),
    strategy: z
      .enum(strategies)
      .optional()
      .meta({
        description:
          "Whether requests go through their provider's own batch API, where one is configured: `auto` when they are many and " +
          'the completion window is as long as the provider’s, `cheapest` always, `fastest` only those that the lane’s limit of ' +
          'requests would not let in within half of the window, `live` never. Default: `auto`; for a retry, as in the batch ' +
          'that is retried.',
      }),
    webhook_url: webhookUrl.optional(),
    webhook_secret: webhookSecret.optional(),
  })
  .refine(({ webhook_url: url, webhook_secret: secret }) => url !== undefined || secret === undefined, {
    path: ['webhook_secret'],
    error: 'there is no webhook_url',
  })
  .optional()
  .meta({ description: "Beyond OpenAI's batch." });

const fileBatch = z
  .strictObject({
    input_file_id: z.string(),
    endpoint: z.enum(endpoints),
    completion_window: completionWindow,
    metadata,
    output_expires_after: expiresAfter.nullish(),
    promptmill: extension,
  })
  .meta({ id: 'CreateBatchFromFile' });

const customId = z.string().min(1).max(maxCustomIdLength).optional();
export const modelName = z.string().min(1).max(maxModelLength).optional();

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

export const requestParams = z
  .unknown()
  .refine(isJsonObject, { error: 'it must be an object', abort: true })
  .refine((params) => JSON.stringify(params).length <= maxParamsCharacters, {
    error: `it may have ${maxParamsCharacters} characters`,
  })
  .optional()
  .meta({
    description: `Further fields of each request’s body; up to ${maxParamsCharacters} characters as JSON.`,
    override: { type: 'object', additionalProperties: true, examples: [{ max_tokens: 500 }] },
  });

const promptBatch = z
  .strictObject({
    model: modelName.meta({ description: 'The model of prompts that name none.', example: 'xai/grok-4.3' }),
    prompts: z
      .array(z.unknown())
      .min(1)
      .meta({ override: { type: 'array', minItems: 1, items: { $ref: '#/components/schemas/Prompt' } } }),
    system: z.string().optional().meta({ description: 'The system message before each prompt.' }),
    params: requestParams,
    endpoint: z.literal('/v1/chat/completions').default('/v1/chat/completions'),
    completion_window: completionWindow.default('24h'),
    metadata,
    output_expires_after: expiresAfter.nullish(),
    promptmill: extension,
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
    promptmill: extension,
  })
  .meta({ id: 'RetryBatch', description: 'What is left out is as in the batch that is retried.' })
  .optional();
export type RetryBatchBody = z.output<typeof retryBatchBody>;

export const resumeBatchBody = z.strictObject({ max_cost: maxCost.optional() }).meta({ id: 'ResumeBatch' }).optional();
export type ResumeBatchBody = z.output<typeof resumeBatchBody>;

/** Whether a body is meant to create a batch from a file or from prompts, whatever else is wrong with it. */
export const createBatchKind = (body: unknown): z.ZodType<CreateBatchBody> =>
  typeof body === 'object' && body !== null && 'prompts' in body ? promptBatch : fileBatch;
