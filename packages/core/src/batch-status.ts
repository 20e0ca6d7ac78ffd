/** The statuses of a batch, as OpenAI names them. Source: https://platform.openai.com/docs/guides/batch */
export const batchStatuses = [
  'validating',
  'failed',
  'in_progress',
  'finalizing',
  'completed',
  'expired',
  'cancelling',
  'cancelled',
] as const;

export type BatchStatus = (typeof batchStatuses)[number];

const next: Record<BatchStatus, readonly BatchStatus[]> = {
  validating: ['in_progress', 'failed', 'cancelling'],
  in_progress: ['finalizing', 'cancelling', 'expired'],
  finalizing: ['completed'],
  cancelling: ['cancelled'],
  completed: [],
  failed: [],
  expired: [],
  cancelled: [],
};

export const canTransition = (from: BatchStatus, to: BatchStatus): boolean => next[from].includes(to);

/** A terminal batch never changes again (P2). */
export const isTerminal = (status: BatchStatus): boolean => next[status].length === 0;

/** Whether a batch can be paused: calls for it may still begin. */
export const canPause = (status: BatchStatus): boolean => status === 'validating' || status === 'in_progress';

/** The statuses that lead to `to`. A compare-and-set on the status expects one of them. */
export const statusesBefore = (to: BatchStatus): BatchStatus[] =>
  batchStatuses.filter((status) => canTransition(status, to));

/** The field of the batch object that says when a batch reached a status. */
export const timestampOf = {
  in_progress: 'in_progress_at',
  finalizing: 'finalizing_at',
  completed: 'completed_at',
  failed: 'failed_at',
  expired: 'expired_at',
  cancelling: 'cancelling_at',
  cancelled: 'cancelled_at',
} as const satisfies Partial<Record<BatchStatus, string>>;
