import type { LaneLimits } from '@promptmill/core';
import { z } from 'zod';
import { seconds } from '../api-schemas.ts';

const limit = (what: string) =>
  z
    .number()
    .nullable()
    .meta({ description: `${what}; null: not limited.` });

/** All workers together. Of the two rates one is null. */
const laneLimits = z.object({
  concurrency: limit('Calls in flight').meta({
    description: 'Calls in flight; null: the answers of the provider decide.',
  }),
  requests_per_minute: limit('Calls a minute'),
  requests_per_second: limit('Calls a second'),
  tokens_per_minute: limit('Input and output tokens a minute'),
});

/** What a lane and each of its deployments tell. */
const upstream = {
  id: z.string(),
  has_key: z.boolean().meta({ description: 'Whether its key is set, or it needs none.' }),
  held_until: seconds.nullable().meta({ description: 'Until then no call is made; null while it is open.' }),
  reason: z.string().nullable().meta({ description: 'Why it is held: a code, and the HTTP status.' }),
  tokens_this_minute: z.int().nullable().meta({ description: 'Null where tokens are not limited.' }),
  limits: laneLimits.meta({ description: 'The limits that are in force.' }),
  configured_limits: laneLimits.meta({ description: 'The limits of the configuration.' }),
  last_errors: z
    .array(z.object({ reason: z.string().meta({ description: 'A code, and the HTTP status.' }), at: seconds }))
    .meta({ description: 'How the provider failed in the last day: each way once, when it was last, latest first.' }),
};

const deployment = z
  .object({
    ...upstream,
    in_flight: z.int().meta({ description: 'Calls in flight.' }),
    allowed: z.int().nullable().meta({ description: 'Calls that may be in flight, all workers together.' }),
  })
  .meta({ id: 'Deployment' });

export const lane = z
  .object({
    ...upstream,
    object: z.literal('lane'),
    provider: z.string(),
    in_flight: z.int().meta({ description: 'Requests in work, including those that wait until the lane admits them.' }),
    allowed: z.int().nullable().meta({ description: 'Requests that may be in work, all workers together.' }),
    waiting: z.int().meta({ description: 'Requests that wait for a worker or for their next attempt.' }),
    live_in_flight: z.int().meta({ description: 'Live calls among those in flight.' }),
    live_waiting: z.int().meta({ description: 'Live calls among those that wait.' }),
    deployments: z.array(deployment).meta({
      description:
        'Those that share its calls; none where the provider itself takes them. It is held while all are, and its limits are of all together.',
    }),
  })
  .meta({ id: 'Lane' });

export const laneList = z.object({ object: z.literal('list'), data: z.array(lane) });

export const laneParams = z.object({ lane: z.string() });
export type LaneParams = z.output<typeof laneParams>;

const most = 1_000_000_000;
const whole = z.int().min(1).max(most).nullish();

export const changeLaneBody = z
  .strictObject({
    concurrency: whole,
    requests_per_minute: whole,
    requests_per_second: z.number().positive().max(most).nullish(),
    tokens_per_minute: whole,
  })
  .refine((body) => Object.values(body).some((value) => value !== undefined), { error: 'it must name a limit' })
  .refine((body) => body.requests_per_minute == null || body.requests_per_second == null, {
    error: 'it must be set for a minute or for a second, not for both',
    path: ['requests_per_second'],
  })
  .meta({ description: 'Null sets a limit back to what is configured. What is absent stays as it is.' });
export type ChangeLaneBody = z.output<typeof changeLaneBody>;

const minuteMs = 60_000;

export const toShownLimits = ({ concurrency, requests, tokensPerMinute }: LaneLimits): z.output<typeof laneLimits> => {
  const isPerMinute = requests?.windowMs === minuteMs;
  return {
    concurrency: concurrency ?? null,
    requests_per_minute: requests && isPerMinute ? requests.count : null,
    requests_per_second: requests && !isPerMinute ? (requests.count * 1000) / requests.windowMs : null,
    tokens_per_minute: tokensPerMinute ?? null,
  };
};
