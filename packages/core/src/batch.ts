import { type BatchCopies, noCopies } from './batch-copies.ts';
import { type BatchStatus, canPause, isTerminal } from './batch-status.ts';
import type { Endpoint } from './endpoints.ts';
import type { HandedOff, Strategy } from './hand-off.ts';
import { formatUsd, nanosToUsd } from './prices.ts';
import type { LineProblem } from './request-line.ts';
import type { ServiceTier } from './service-tier.ts';
import type { Trace } from './trace.ts';
import { type BatchWebhook, originOf } from './webhook-url.ts';

/**
 * One problem of an input file. Source: `errors.data` of https://platform.openai.com/docs/api-reference/batch/object
 */
export interface BatchError extends LineProblem {
  /** 1-based line number in the input file; null when the whole file is at fault. */
  readonly line: number | null;
}

/** Tokens summed over a batch's successful answers. */
export interface BatchUsage {
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly reasoningTokens: number;
}

/** What a batch has cost so far, in billionths of a dollar. */
export interface BatchCost {
  /** Of its results, as far as it is known. */
  readonly spentNanoUsd: number;
  /** How many results have an unknown cost. */
  readonly unpriced: number;
  /** Of calls that gave no result although the provider said what they used, as far as it is known. */
  readonly wastedNanoUsd: number;
  /** How many of those calls have an unknown cost. */
  readonly unpricedWaste: number;
}

export const noCost: BatchCost = { spentNanoUsd: 0, unpriced: 0, wastedNanoUsd: 0, unpricedWaste: 0 };

/** The results that a provider's flex tier gave. */
export interface FlexShare {
  readonly answers: number;
  /** What they cost, in billionths of a dollar, as far as it is known. */
  readonly nanoUsd: number;
}

/** A batch's record. Times are Unix seconds. A time is absent until it is reached. */
export interface Batch {
  readonly id: string;
  readonly tenant: string;
  readonly endpoint: Endpoint;
  /** The model of its requests, when all name the same one. */
  readonly model?: string;
  readonly inputFileId: string;
  readonly completionWindow: string;
  readonly status: BatchStatus;
  readonly metadata: Readonly<Record<string, string>> | null;
  readonly errors: readonly BatchError[];
  /**
   * Reserved when the batch is created, so that finalizing again writes the same ids. Shown once the file is published.
   */
  readonly outputFileId: string;
  readonly errorFileId: string;
  readonly outputPublished: boolean;
  readonly errorPublished: boolean;
  /** How long the output and the error file are kept after they are made, in seconds. Absent: no limit of their own. */
  readonly outputExpiresAfterSeconds?: number;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly inProgressAt?: number;
  readonly finalizingAt?: number;
  readonly completedAt?: number;
  readonly failedAt?: number;
  readonly expiredAt?: number;
  readonly cancellingAt?: number;
  readonly cancelledAt?: number;
  readonly pausedAt?: number;
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
  /** Requests in a lane: those being called and those that wait there. Absent: none. */
  readonly inLanes?: number;
  /** Calls that failed and were made again. Absent: none. */
  readonly retries?: number;
  readonly usage: BatchUsage;
  readonly cost: BatchCost;
  /** What it may cost at most, in billionths of a dollar. Absent: not limited. */
  readonly maxCostNanoUsd?: number;
  /** Set while no call begins because of a limit of its cost. */
  readonly costHold?: CostHold;
  /** How many requests were settled a second, lately. */
  readonly requestsPerSecond?: number;
  /** The held lanes its requests wait for. */
  readonly waitingFor?: readonly HeldLane[];
  /** How a provider last refused one of its requests. */
  readonly lastRefusal?: Refusal;
  readonly blocked?: Blocked;
  /** Whether each answer has to match the schema that its request names. Absent: no. */
  readonly checkSchema?: true;
  /** Whether requests that ask the same are called once. Absent: no. */
  readonly dedupe?: true;
  /** How old an answer may be that is taken from another batch, such as `7d`. Absent: none is taken. */
  readonly cache?: string;
  /** The tier that its requests begin in. Absent: as the configuration says. */
  readonly tier?: ServiceTier;
  /** What flex has answered. Absent: nothing. */
  readonly flex?: FlexShare;
  /** Absent: there are none. */
  readonly copies?: BatchCopies;
  /** Whether its requests go through their provider's own batch API. Absent: `auto`. */
  readonly strategy?: Strategy;
  /** Absent: nothing was handed off. */
  readonly handedOff?: HandedOff;
  /** Where its events go, beside the webhooks of its tenant. */
  readonly webhook?: BatchWebhook;
  /** Absent: it is not traced. */
  readonly trace?: Trace;
  /** The batch whose requests this one runs again. */
  readonly retryOf?: string;
  /** The last 100 batches that run requests of this one again, oldest first. */
  readonly retriedBy?: readonly string[];
}

/** Why a batch stands still: its requests cannot be dispatched, or its results cannot be written to files. */
export interface Blocked {
  /** Such as `no_space`. */
  readonly code: string;
  /** For the batch's owner to read. */
  readonly message: string;
}

/** A limit of what calls may cost: that of a batch, or one of its tenant. */
export type CostLimit = 'max_cost' | 'usdPerDay' | 'usdPerMonth';

/** Why no call of a batch begins: the money that is left may not be enough for it. */
export interface CostHold {
  readonly limit: CostLimit;
  /** Set once the calls in flight have ended and the money is not enough for another. */
  readonly reached?: ReachedCostLimit;
}

export interface ReachedCostLimit {
  /** Unix seconds. */
  readonly at: number;
  /** For the batch's owner to read. */
  readonly reason: string;
  /** When it goes on by itself, in Unix milliseconds. Absent: when someone raises the limit. */
  readonly untilMs?: number;
}

/** When a batch ended, in Unix seconds; undefined while it is not terminal. */
export const endedAt = ({ completedAt, failedAt, expiredAt, cancelledAt }: Batch): number | undefined =>
  completedAt ?? failedAt ?? expiredAt ?? cancelledAt;

/** A lane in which no call may begin for a while. */
export interface HeldLane {
  readonly lane: string;
  /** A code, and the HTTP status when an answer came. */
  readonly reason: string;
  /** Unix milliseconds. Absent: until someone acts. */
  readonly heldUntilMs?: number;
}

/** How a provider refused a request, or why a request's call made its lane hold. */
export interface Refusal {
  readonly lane: string;
  /** The lane's reason: what every batch may read. */
  readonly reason: string;
  /** The provider's own words, which may quote the request: for the batch's owner only. */
  readonly message: string;
}

/** The lane of a batch that waits for money. No provider has such a name, so no lane has. */
export const costLimitName = 'cost_limit';

/** What a batch waits for: held lanes, or in the place of one a limit of its cost. */
export const waitsFor = ({
  waitingFor = [],
  costHold,
}: Pick<Batch, 'waitingFor' | 'costHold'>): readonly HeldLane[] => {
  if (!costHold?.reached) return waitingFor;
  const { reason, untilMs } = costHold.reached;
  return [{ lane: costLimitName, reason, ...(untilMs === undefined ? {} : { heldUntilMs: untilMs }) }];
};

/** Since when a batch is paused, by its owner or because it has reached its `max_cost`. */
export const pausedSince = ({ pausedAt, costHold }: Pick<Batch, 'pausedAt' | 'costHold'>): number | undefined =>
  pausedAt ?? (costHold?.limit === 'max_cost' ? costHold.reached?.at : undefined);

/** What of its `max_cost` a batch has used, for its owner to read. */
export const describeMaxCost = ({ cost, maxCostNanoUsd = 0 }: Pick<Batch, 'cost' | 'maxCostNanoUsd'>): string => {
  const spent = formatUsd(cost.spentNanoUsd + cost.wastedNanoUsd);
  return `The batch has spent ${spent} of its max_cost of ${formatUsd(maxCostNanoUsd)} USD.`;
};

/** A sum of which any part is unknown is unknown, which is null. */
const costObjectOf = ({ cost, status, total, completed, failed, copies = noCopies }: Batch) => {
  const spent = cost.unpriced > 0 ? null : nanosToUsd(cost.spentNanoUsd);
  // A copy costs nothing.
  const [answered, toAnswer] = [completed - copies.made, total - failed - copies.expected];
  const expected = (): number => nanosToUsd(Math.round((cost.spentNanoUsd / answered) * toAnswer));
  return {
    currency: 'USD' as const,
    estimated: isTerminal(status) || spent === null || answered <= 0 ? null : expected(),
    spent,
    wasted: cost.unpricedWaste > 0 ? null : nanosToUsd(cost.wastedNanoUsd),
    saved_by_cache: copies.unpriced > 0 ? null : nanosToUsd(copies.savedNanoUsd),
  };
};

/** The answers of each tier, and what they cost. Null for a batch that has to do with one tier only. */
const tiersOf = ({ tier, flex, completed, cost, copies = noCopies }: Batch) => {
  if (tier !== 'flex' && !flex) return null;
  const { answers, nanoUsd } = flex ?? { answers: 0, nanoUsd: 0 };
  const spent = (sum: number): number | null => (cost.unpriced > 0 ? null : nanosToUsd(sum));
  return {
    flex: { answers, spent: spent(nanoUsd) },
    standard: { answers: completed - copies.made - answers, spent: spent(cost.spentNanoUsd - nanoUsd) },
  };
};

/** The fields that OpenAI's batch object lacks. Those about a running batch are null or empty once it is terminal. */
const extensionOf = (batch: Batch) => {
  const { total, completed, failed, lastRefusal, maxCostNanoUsd, webhook, retryOf, retriedBy = [] } = batch;
  const isOver = isTerminal(batch.status);
  const rate = batch.costHold?.reached ? 0 : batch.requestsPerSecond;
  const pausedAt = canPause(batch.status) ? pausedSince(batch) : undefined;
  return {
    in_lanes: isOver ? 0 : (batch.inLanes ?? 0),
    retries: batch.retries ?? 0,
    requests_per_second: isOver || rate === undefined ? null : Number(rate.toFixed(2)),
    eta_seconds: isOver || pausedAt !== undefined || !rate ? null : Math.ceil((total - completed - failed) / rate),
    paused_at: pausedAt ?? null,
    waiting_for: isOver
      ? []
      : waitsFor(batch).map(({ lane, reason, heldUntilMs }) => ({
          lane,
          reason,
          message: lastRefusal?.lane === lane && lastRefusal.reason === reason ? lastRefusal.message : null,
          held_until: heldUntilMs === undefined ? null : Math.ceil(heldUntilMs / 1000),
        })),
    blocked: isOver ? null : (batch.blocked ?? null),
    cost: costObjectOf(batch),
    check_schema: batch.checkSchema ?? false,
    dedupe: batch.dedupe ?? false,
    cache: batch.cache ?? null,
    tier: batch.tier ?? null,
    tiers: tiersOf(batch),
    copied: batch.copies?.made ?? 0,
    strategy: batch.strategy ?? 'auto',
    batch_api: batch.handedOff ? { ...batch.handedOff, ...(isOver ? { waiting: 0, open: 0 } : {}) } : null,
    max_cost: maxCostNanoUsd === undefined ? null : nanosToUsd(maxCostNanoUsd),
    // The rest of the URL may be a secret.
    webhook_url: webhook === undefined ? null : originOf(webhook.url),
    retry_of: retryOf ?? null,
    retried_by: retriedBy,
  };
};

const fileOrNull = (published: boolean, id: string): string | null => (published ? id : null);

/** The batch object as the API shows it. Source: https://platform.openai.com/docs/api-reference/batch/object */
export const toBatchObject = (batch: Batch) => ({
  id: batch.id,
  object: 'batch' as const,
  endpoint: batch.endpoint,
  model: batch.model ?? null,
  errors: batch.errors.length === 0 ? null : { object: 'list' as const, data: batch.errors },
  input_file_id: batch.inputFileId,
  completion_window: batch.completionWindow,
  status: batch.status,
  output_file_id: fileOrNull(batch.outputPublished, batch.outputFileId),
  error_file_id: fileOrNull(batch.errorPublished, batch.errorFileId),
  created_at: batch.createdAt,
  in_progress_at: batch.inProgressAt ?? null,
  expires_at: batch.expiresAt,
  finalizing_at: batch.finalizingAt ?? null,
  completed_at: batch.completedAt ?? null,
  failed_at: batch.failedAt ?? null,
  expired_at: batch.expiredAt ?? null,
  cancelling_at: batch.cancellingAt ?? null,
  cancelled_at: batch.cancelledAt ?? null,
  request_counts: { total: batch.total, completed: batch.completed, failed: batch.failed },
  usage: {
    input_tokens: batch.usage.inputTokens,
    input_tokens_details: { cached_tokens: batch.usage.cachedTokens },
    output_tokens: batch.usage.outputTokens,
    output_tokens_details: { reasoning_tokens: batch.usage.reasoningTokens },
    total_tokens: batch.usage.inputTokens + batch.usage.outputTokens,
  },
  metadata: batch.metadata,
  promptmill: extensionOf(batch),
});

export type BatchObject = ReturnType<typeof toBatchObject>;
