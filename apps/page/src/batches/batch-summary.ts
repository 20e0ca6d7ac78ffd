import type { BatchObject, BatchStatus } from '@promptmill/core';
import { isTerminal } from '@promptmill/core/display';
import type { AdminBatch } from '../api/answers.ts';
import type { Progress } from '../parts/progress-bar.ts';
import { describeWait, type Wait } from '../parts/describe-wait.ts';

/** What a line of the list shows of a batch. Of another tenant's batch an admin sees less. */
export interface BatchSummary {
  readonly id: string;
  readonly name: string;
  readonly status: BatchStatus;
  readonly isPaused: boolean;
  readonly wait: Wait | undefined;
  readonly progress: Progress;
  readonly perSecond: number | null;
  /** In and out, so far. Undefined: not shown. */
  readonly tokens: number | undefined;
  readonly etaSeconds: number | null;
  /** In USD. Undefined: not shown; null: unknown. */
  readonly spent: number | null | undefined;
  readonly createdAt: number;
  readonly endedAt: number | null;
  /** The tenant whose batch it is, where that is not the caller. */
  readonly tenant: string | undefined;
}

/** What people call a batch: a `name` in its metadata, else its model. */
export const nameOf = ({ metadata, model }: Pick<BatchObject, 'metadata' | 'model'>): string =>
  metadata?.['name'] ?? metadata?.['description'] ?? model ?? 'Several models';

/** When a batch ended, in Unix seconds; null while it runs. */
export const endOf = (batch: BatchObject): number | null =>
  batch.completed_at ?? batch.failed_at ?? batch.expired_at ?? batch.cancelled_at;

export const progressOf = (batch: BatchObject): Progress => ({
  ...batch.request_counts,
  inLanes: batch.promptmill.in_lanes,
});

/** @param nowSeconds Unix time */
export const summarize = (batch: BatchObject, nowSeconds: number): BatchSummary => ({
  id: batch.id,
  name: nameOf(batch),
  status: batch.status,
  isPaused: batch.promptmill.paused_at !== null && !isTerminal(batch.status),
  wait: isTerminal(batch.status) ? undefined : describeWait(batch, nowSeconds),
  progress: progressOf(batch),
  perSecond: batch.promptmill.requests_per_second,
  tokens: batch.usage.total_tokens,
  etaSeconds: batch.promptmill.eta_seconds,
  spent: batch.promptmill.cost.spent,
  createdAt: batch.created_at,
  endedAt: endOf(batch),
  tenant: undefined,
});

export const summarizeForAdmin = (batch: AdminBatch): BatchSummary => ({
  id: batch.id,
  name: batch.model ?? 'Several models',
  status: batch.status,
  isPaused: batch.paused_at !== null && !isTerminal(batch.status),
  wait: undefined,
  progress: { ...batch.request_counts, inLanes: 0 },
  perSecond: batch.requests_per_second,
  tokens: undefined,
  etaSeconds: null,
  spent: undefined,
  createdAt: batch.created_at,
  endedAt: null,
  tenant: batch.tenant,
});
