import { z } from 'zod';
import { type BatchRules, batchRulesChange } from './batches/batch-rules.ts';
import { faultNames, type FaultName } from './faults.ts';
import type { Latency } from './latency.ts';
import type { Limits } from './rate-limiter.ts';

/** The share of calls, 0 to 1, that meet each fault; a status such as `503` is a fault too. */
export type FaultRates = Readonly<Partial<Record<FaultName | `${4 | 5}${number}`, number>>>;

/** How the simulator answers. It can be changed while the simulator runs. */
export interface Behaviour {
  /** Default: fixed, 0 ms. */
  readonly latency: Latency;
  /** Pause between two events of a stream, in milliseconds. Default 0: all at once. */
  readonly chunkDelayMs: number;
  /** The share of calls, 0 to 1, answered with `errorStatus`. Default 0. */
  readonly errorRate: number;
  /** 400 to 599. Default 500. */
  readonly errorStatus: number;
  /** Headers of those answers, such as `retry-after`. Default: none. */
  readonly errorHeaders: Readonly<Record<string, string>>;
  /**
   * Default: none. All rates and `errorRate` together are at most 1. A call whose prompt has markers meets none of
   * them.
   */
  readonly faults: FaultRates;
  /** Default: none. */
  readonly limits: Limits;
  /** How the batch API differs from its defaults. Default: not at all. */
  readonly batchApi: Partial<BatchRules>;
  /** Whether the starts of prompts are cached once a call with them is answered. Default false. */
  readonly promptCache: boolean;
  /** How calls with `service_tier: "flex"` fare. Default: each is taken. */
  readonly flex: FlexTier;
}

/** A flex tier, whose capacity is not enough for each call. */
interface FlexTier {
  /** The share of its calls, 0 to 1, that it takes. At 0 it is away. */
  readonly takes: number;
  /** The status of its refusals: 429 as OpenAI's, or 498 as Groq's. */
  readonly status: 429 | 498;
}

export const defaultBehaviour: Behaviour = {
  latency: { kind: 'fixed', ms: 0 },
  chunkDelayMs: 0,
  errorRate: 0,
  errorStatus: 500,
  errorHeaders: {},
  faults: {},
  limits: {},
  batchApi: {},
  promptCache: false,
  flex: { takes: 1, status: 429 },
};

const rate = z.number().min(0).max(1);
const positiveInteger = z.int().positive();
const errorStatus = z.int().min(400).max(599);
const durationMs = z.number().min(0).max(86_400_000);

const latency = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('fixed'), ms: durationMs }),
  z.strictObject({ kind: z.literal('log-normal'), medianMs: durationMs, sigma: z.number().min(0).max(5) }),
]);

const limits = z
  .strictObject({
    requestsPerMinute: positiveInteger.exactOptional(),
    tokensPerMinute: positiveInteger.exactOptional(),
    maxInFlight: positiveInteger.exactOptional(),
    maxInFlightStatus: errorStatus.exactOptional(),
    windowMs: positiveInteger.exactOptional(),
  })
  .refine(
    ({ requestsPerMinute = Infinity, tokensPerMinute = Infinity, windowMs = 60_000 }) =>
      Math.min(requestsPerMinute, tokensPerMinute) * windowMs >= 60_000,
    { error: 'the limit admits less than one request or token in a window' },
  );

const faultRates = z.partialRecord(
  z.union([
    z.enum(faultNames as [FaultName, ...FaultName[]]),
    z.templateLiteral([z.enum(['4', '5']), z.string().regex(/^\d\d$/)]),
  ]),
  rate,
);

const behaviourChange = z.strictObject({
  latency: latency.exactOptional(),
  chunkDelayMs: durationMs.exactOptional(),
  errorRate: rate.exactOptional(),
  errorStatus: errorStatus.exactOptional(),
  errorHeaders: z.record(z.string().regex(/^[\w-]+$/), z.string().regex(/^[\x20-\x7e]+$/)).exactOptional(),
  faults: faultRates.exactOptional(),
  limits: limits.exactOptional(),
  batchApi: batchRulesChange.exactOptional(),
  promptCache: z.boolean().exactOptional(),
  flex: z.strictObject({ takes: rate, status: z.literal([429, 498]).default(429) }).exactOptional(),
});

/** Refuses a behaviour that makes no sense. */
export class BehaviourError extends Error {
  readonly code = 'invalid_behaviour';
}

/**
 * Replaces parts of a behaviour, each as a whole: `{limits: {}}` lifts every limit.
 * @param change unchecked, as it comes from outside.
 * @throws BehaviourError for an unknown key, a value out of range, or rates that add up to more than 1.
 */
export function changeBehaviour(current: Behaviour, change: unknown): Behaviour {
  const parsed = behaviourChange.safeParse(change);
  if (!parsed.success) throw new BehaviourError(parsed.error.issues.map(describeIssue).join('; '));
  const next: Behaviour = { ...current, ...parsed.data };
  const total = Object.values(next.faults).reduce<number>((sum, share = 0) => sum + share, next.errorRate);
  if (total > 1 + 1e-9) throw new BehaviourError(`The fault rates and errorRate add up to ${total}, more than 1.`);
  return next;
}

function describeIssue({ path, message }: z.core.$ZodIssue): string {
  return path.length === 0 ? message : `${path.join('.')}: ${message}`;
}
