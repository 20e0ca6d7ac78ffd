import type { BatchStatus, FileObject } from '@promptmill/core';

/** A page of a list. With a filter its `last_id` is the last one that was looked at. */
export interface Page<Item> {
  readonly data: readonly Item[];
  readonly last_id: string | null;
  readonly has_more: boolean;
}

/** Whose key calls bear. */
export interface Caller {
  readonly tenant: string;
  readonly admin: boolean;
}

/** What an admin sees of another tenant's batch. */
export interface AdminBatch {
  readonly id: string;
  readonly tenant: string;
  readonly endpoint: string;
  readonly model: string | null;
  readonly status: BatchStatus;
  readonly created_at: number;
  readonly expires_at: number;
  readonly cancelling_at: number | null;
  readonly paused_at: number | null;
  readonly request_counts: { readonly total: number; readonly completed: number; readonly failed: number };
  readonly requests_per_second: number | null;
}

/** A line of the output or the error file. */
export interface ResultLine {
  /** It ends with the index of its request. */
  readonly id: string;
  readonly custom_id: string;
  readonly response: { readonly status_code: number; readonly body: unknown } | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly promptmill?: { readonly model?: string; readonly fallback_from?: string; readonly cost_usd?: number };
}

export interface ResultPage {
  readonly data: readonly ResultLine[];
  readonly next: string;
  readonly has_more: boolean;
}

/** Failures with one code. */
export interface FailureGroup {
  readonly code: string;
  readonly count: number;
  readonly example: { readonly custom_id: string; readonly message: string };
}

/** The failures that one call has counted. There may be more, from `next` on. */
export interface Failures {
  readonly data: readonly FailureGroup[];
  readonly next: string;
  readonly has_more: boolean;
}

/** A line of the input file. */
export interface RequestLine {
  readonly index: number;
  readonly custom_id: string;
  readonly url: string;
  /** Undefined when it is too large to come with others. */
  readonly body?: unknown;
}

/** Null: not limited. */
export interface LaneLimits {
  readonly concurrency: number | null;
  readonly requests_per_minute: number | null;
  readonly requests_per_second: number | null;
  readonly tokens_per_minute: number | null;
}

/** One of several keys or endpoints that share the calls of a lane. */
export interface Deployment {
  /** `lane@deployment` */
  readonly id: string;
  readonly has_key: boolean;
  readonly in_flight: number;
  readonly allowed: number | null;
  readonly held_until: number | null;
  readonly reason: string | null;
  readonly limits: LaneLimits;
}

export interface Lane {
  readonly id: string;
  readonly provider: string;
  readonly has_key: boolean;
  readonly deployments: readonly Deployment[];
  readonly in_flight: number;
  readonly allowed: number | null;
  readonly waiting: number;
  readonly live_in_flight: number;
  readonly live_waiting: number;
  readonly held_until: number | null;
  readonly reason: string | null;
  readonly tokens_this_minute: number | null;
  readonly limits: LaneLimits;
  readonly configured_limits: LaneLimits;
  readonly last_errors: readonly { readonly reason: string; readonly at: number }[];
}

/** A URL that is told of batches. */
export interface Webhook {
  readonly id: string;
  readonly url: string;
  readonly events: readonly string[];
  readonly description: string | null;
}

/** An event on its way to a webhook, or there. */
export interface WebhookDelivery {
  readonly id: string;
  readonly event: { readonly type: string; readonly created_at: number; readonly data: { readonly id: string } };
  readonly status: 'pending' | 'delivered' | 'dead';
  readonly attempts: number;
  readonly next_attempt_at: number | null;
  readonly last_error: { readonly code: string; readonly message: string } | null;
}

/** What the answers of a day, a model or a tenant used. */
export interface UsageRow {
  readonly day?: string;
  readonly model?: string;
  readonly tenant?: string;
  readonly answers: number;
  readonly input_tokens: number;
  readonly cached_tokens: number;
  readonly output_tokens: number;
  readonly reasoning_tokens: number;
  /** In USD; null where a part of it has an unknown price. `spent_known` is what the other part cost. */
  readonly cost: { readonly spent: number | null; readonly spent_known: number; readonly wasted: number | null };
  readonly unpriced_answers: number;
}

export type InputFormat = 'text' | 'jsonl' | 'json' | 'csv' | 'tsv' | 'parquet';

/** How a file of prompts becomes requests. */
export interface Conversion {
  readonly format?: InputFormat;
  readonly model?: string;
  readonly prompt?: string;
  readonly system?: string;
  readonly id_column?: string;
  readonly endpoint?: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

/** The first requests that a file of prompts makes. */
export interface FilePreview {
  readonly format: InputFormat;
  readonly columns: readonly { readonly name: string; readonly example: string }[];
  readonly requests: readonly Omit<RequestLine, 'index'>[];
  readonly problems: readonly string[];
}

/** The input file that a file of prompts makes; null when there are problems. */
export interface FileConversion {
  readonly file: FileObject | null;
  readonly endpoint: string | null;
  readonly requests: number;
  readonly problems: readonly string[];
}

/** Bounds of an amount; null where nothing can be said. */
interface Range {
  readonly low: number | null;
  readonly expected: number | null;
  readonly high: number | null;
}

/** What a batch would use and cost. */
export interface BatchEstimate {
  readonly requests: number;
  readonly input_tokens: number;
  readonly output_tokens: Range;
  readonly cost: Range;
}
