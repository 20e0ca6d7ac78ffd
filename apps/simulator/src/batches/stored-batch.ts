import type { BatchError, BatchUsage, Endpoint } from '@promptmill/core';
import type OpenAI from 'openai';

type Status = OpenAI.Batch['status'];

/** A batch's record. Times are epoch milliseconds. */
export interface StoredBatch {
  readonly id: string;
  readonly createdAtMs: number;
  readonly endpoint: Endpoint;
  readonly completionWindow: string;
  readonly inputFileId: string;
  /** Reserved at the creation, and shown when the batch has ended with such a file. */
  readonly outputFileId: string;
  readonly errorFileId: string;
  readonly hasOutput: boolean;
  readonly hasErrors: boolean;
  readonly metadata: Readonly<Record<string, string>> | null;
  readonly status: Status;
  /** When it came to each status. */
  readonly reachedAtMs: Readonly<Partial<Record<Status, number>>>;
  readonly errors: readonly BatchError[];
  readonly model?: string;
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
  readonly usage: BatchUsage;
  /** What it takes of its model's limit of enqueued tokens until it has ended. */
  readonly inputTokens: number;
}

const terminal = new Set<Status>(['completed', 'failed', 'expired', 'cancelled']);

export function hasEnded({ status }: Pick<StoredBatch, 'status'>): boolean {
  return terminal.has(status);
}

/**
 * Source: https://developers.openai.com/api/docs/api-reference/batch/object
 * @param windowMs from its creation until it expires
 */
export function toBatchObject(batch: StoredBatch, windowMs: number): OpenAI.Batch {
  const at = (status: Status): number | null => {
    const ms = batch.reachedAtMs[status];
    return ms === undefined ? null : Math.floor(ms / 1000);
  };
  const { usage } = batch;
  // OpenAI writes null where the SDK's type has an absent field.
  return {
    id: batch.id,
    object: 'batch',
    endpoint: batch.endpoint,
    model: batch.model ?? null,
    errors: batch.errors.length === 0 ? null : { object: 'list', data: batch.errors },
    input_file_id: batch.inputFileId,
    completion_window: batch.completionWindow,
    status: batch.status,
    output_file_id: batch.hasOutput ? batch.outputFileId : null,
    error_file_id: batch.hasErrors ? batch.errorFileId : null,
    created_at: Math.floor(batch.createdAtMs / 1000),
    in_progress_at: at('in_progress'),
    expires_at: Math.floor((batch.createdAtMs + windowMs) / 1000),
    finalizing_at: at('finalizing'),
    completed_at: at('completed'),
    failed_at: at('failed'),
    expired_at: at('expired'),
    cancelling_at: at('cancelling'),
    cancelled_at: at('cancelled'),
    request_counts: { total: batch.total, completed: batch.completed, failed: batch.failed },
    usage: {
      input_tokens: usage.inputTokens,
      input_tokens_details: { cached_tokens: usage.cachedTokens },
      output_tokens: usage.outputTokens,
      output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
      total_tokens: usage.inputTokens + usage.outputTokens,
    },
    metadata: batch.metadata,
  } as unknown as OpenAI.Batch;
}
