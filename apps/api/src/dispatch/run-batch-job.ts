import { type Batch, canPause, isTerminal } from '@promptmill/core';
import type { BatchJob, BatchSnapshot, BatchStore, FileRecords } from '@promptmill/queue';
import { DelayedError, type Job } from 'bullmq';

export interface RunBatchJobOptions {
  readonly batches: BatchStore;
  readonly records: FileRecords;
  readonly validate: (batch: Batch) => Promise<void>;
  readonly dispatch: (snapshot: BatchSnapshot) => Promise<{ done: boolean }>;
  /** Finds what was lost and puts it right, when there is reason to look. True when it changed the batch's record. */
  readonly reconcile: (snapshot: BatchSnapshot) => Promise<boolean>;
  /** Notes how fast the batch gets on. */
  readonly observe: (snapshot: BatchSnapshot) => Promise<void>;
  /** Whether calls for it, once it was stopped, may still be in flight in one of these lanes or in another. */
  readonly hasCallsInFlight: (batchId: string, lanes: readonly string[]) => Promise<boolean>;
  /** Asks a collector to write the batch's files. Asking again changes nothing. */
  readonly finalize: (batchId: string) => Promise<void>;
  /** What is to be done once it has ended. The job ends only after it. */
  readonly retire: (batch: Batch) => Promise<void>;
  readonly now: () => number;
}

/** While requests are left to dispatch, the window is refilled this often. */
const dispatchTickMs = 100;
const watchTickMs = 1000;
/** How long calls in flight may still end after a batch was cancelled or has expired. */
const stopGraceMs = 10_000;

/** What Bull Board draws as the ring of a batch's job. */
interface BatchProgress {
  /** Percent. Below 100 until the batch is terminal: results that are not yet in a file are not done. */
  readonly progress: number;
  readonly status: string;
  readonly paused?: true;
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
  /** The lanes it waits for, and why. */
  readonly waitingFor?: readonly string[];
  /** Why its results do not get into files. */
  readonly blocked?: string;
}

const progressOf = (batch: Batch): BatchProgress => {
  const { status, total, completed, failed } = batch;
  const percent = total === 0 ? 0 : Math.floor((100 * (completed + failed)) / total);
  const waitingFor = isTerminal(status) ? [] : (batch.waitingFor ?? []).map(({ lane, reason }) => `${lane}: ${reason}`);
  return {
    progress: isTerminal(status) ? 100 : Math.min(99, percent),
    status,
    ...(canPause(status) && batch.pausedAt !== undefined ? { paused: true } : {}),
    total,
    completed,
    failed,
    ...(waitingFor.length > 0 ? { waitingFor } : {}),
    ...(batch.blocked && !isTerminal(status) ? { blocked: `${batch.blocked.code}: ${batch.blocked.message}` } : {}),
  };
};

/**
 * One step in a batch's life: look at its record, do what its status asks for, show its progress, and come back later
 * until it is terminal. It holds nothing between steps; any api process takes the next one, after any crash.
 */
export const createRunBatchJob = (options: RunBatchJobOptions) => {
  const { batches, records, validate, dispatch, reconcile, observe, hasCallsInFlight, finalize, retire, now } = options;

  const closeWhenDrained = async ({ batch, state }: BatchSnapshot): Promise<void> => {
    const { outstanding, positions, stoppedAt = 0 } = state;
    const isInGrace = now() < stoppedAt * 1000 + stopGraceMs;
    if (outstanding > 0 && isInGrace && (await hasCallsInFlight(batch.id, Object.keys(positions)))) return;
    const summary = (await records.get(batch.tenant, batch.inputFileId))?.summary;
    const runnable = summary && summary.problemCount === 0 ? summary.requests : 0;
    await batches.close(batch.id, batch.total || runnable);
  };

  /** Milliseconds until the next step. */
  const step = async (snapshot: BatchSnapshot): Promise<number> => {
    const { batch } = snapshot;
    if (batch.status === 'validating') {
      await batches.confirmCreated(batch, batch.createdAt * 1000);
      await records.use(batch.tenant, batch.inputFileId, batch.id, now());
      await validate(batch);
      return 0;
    }
    const { stopping, closed, ready } = snapshot.state;
    if (ready) {
      await finalize(batch.id);
      return watchTickMs;
    }
    if (stopping) {
      if (closed) await reconcile(snapshot);
      else await closeWhenDrained(snapshot);
      return dispatchTickMs;
    }
    if (batch.status === 'in_progress' && now() >= batch.expiresAt * 1000) {
      await batches.stop(batch.id, 'expired', now());
      return dispatchTickMs;
    }
    if (batch.pausedAt !== undefined) {
      await observe(snapshot);
      return watchTickMs;
    }
    if (await reconcile(snapshot)) return 0;
    const { done } = await dispatch(snapshot);
    await observe(snapshot);
    return done ? watchTickMs : dispatchTickMs;
  };

  return async (job: Job<BatchJob>, token: string | undefined): Promise<BatchProgress | { status: 'gone' }> => {
    const { batchId } = job.data;
    let shown = JSON.stringify(job.progress);
    for (;;) {
      const snapshot = await batches.read(batchId);
      if (!snapshot) return { status: 'gone' };
      const { batch } = snapshot;
      const progress = progressOf(batch);
      if (JSON.stringify(progress) !== shown) await job.updateProgress({ ...progress });
      shown = JSON.stringify(progress);
      if (isTerminal(batch.status)) {
        await retire(batch);
        return progress;
      }
      const delayMs = await step(snapshot);
      if (delayMs === 0) continue;
      await job.moveToDelayed(Date.now() + delayMs, token);
      throw new DelayedError();
    }
  };
};
