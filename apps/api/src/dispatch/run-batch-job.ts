import { type Batch, canPause, isTerminal, pausedSince, shardCancelMs, waitsFor } from '@promptmill/core';
import type { BatchJob, BatchSnapshot, BatchStore, FileRecords, JobLock } from '@promptmill/queue';
import { DelayedError, type Job } from 'bullmq';
import { DispatchBlockedError, isDispatchBlockedCode } from './dispatch-blocked-error.ts';
import type { Places } from './places.ts';

export interface RunBatchJobOptions {
  readonly batches: BatchStore;
  readonly records: FileRecords;
  /** Decides whether the batch runs or has failed. */
  readonly validate: (batch: Batch) => Promise<void>;
  /** Adds the next requests to their lanes. `done`: all of them are dispatched. */
  readonly dispatch: (snapshot: BatchSnapshot) => Promise<{ done: boolean }>;
  /** Has a batch's shards see that it is paused or stopped. */
  readonly wakeShards: (snapshot: BatchSnapshot) => Promise<void>;
  /** Restores what Redis has lost, when there is a reason to look. True: it changed the batch's record. */
  readonly reconcile: (snapshot: BatchSnapshot) => Promise<boolean>;
  /** Notes how fast the batch runs and what it waits for. */
  readonly observe: (snapshot: BatchSnapshot) => Promise<void>;
  /** Moves requests that flex would not answer in time to the standard tier. */
  readonly stepUp: (snapshot: BatchSnapshot) => Promise<void>;
  /** Looks whether a batch that a limit of its cost holds may go on. */
  readonly lookAtCost: (batch: Batch) => Promise<'open' | 'calls in flight' | 'reached'>;
  /** Whether calls of a stopped batch may still be in flight, in these lanes or in any other. */
  readonly hasCallsInFlight: (batchId: string, lanes: readonly string[]) => Promise<boolean>;
  /** Ends the rest of a batch's job. */
  readonly wake: (batchId: string) => Promise<void>;
  /** Asks a collector to write the batch's files. Asking again changes nothing. */
  readonly finalize: (batchId: string) => Promise<void>;
  /** Does what is left to do after the batch has ended. Its job ends only after that. */
  readonly retire: (batch: Batch) => Promise<void>;
  /** Called once for each reason why the batch cannot be dispatched. */
  readonly onBlocked: (batchId: string, reason: DispatchBlockedError) => void;
  readonly places: Places;
  readonly now: () => number;
}

/** Time between two steps while requests are left to dispatch. */
const dispatchTickMs = 100;
const watchTickMs = 1000;
/**
 * A paused batch rests until someone wakes it. It looks by itself after half the time for which it has been paused, for
 * results of calls that were in flight, and once a minute at least, should the one who wakes it die before.
 */
const longestRestMs = 60_000;
/** Batches that wait for a lane or a cause look once a second, and all of a process together 100 times. */
const betweenLooksMs = 10;
/** How long calls in flight may take to end after a batch was cancelled or has expired. */
const stopGraceMs = 10_000;

interface NextStep {
  readonly afterMs: number;
  /** The batch has nothing to do for a while, and needs no place until then. */
  readonly rests?: true;
}

/** The progress of a batch's job; Bull Board draws it as a ring. */
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
  /** Why it is blocked. */
  readonly blocked?: string;
}

const progressOf = (batch: Batch): BatchProgress => {
  const { status, total, completed, failed } = batch;
  const percent = total === 0 ? 0 : Math.floor((100 * (completed + failed)) / total);
  const waitingFor = isTerminal(status) ? [] : waitsFor(batch).map(({ lane, reason }) => `${lane}: ${reason}`);
  return {
    progress: isTerminal(status) ? 100 : Math.min(99, percent),
    status,
    ...(canPause(status) && pausedSince(batch) !== undefined ? { paused: true } : {}),
    total,
    completed,
    failed,
    ...(waitingFor.length > 0 ? { waitingFor } : {}),
    ...(batch.blocked && !isTerminal(status) ? { blocked: `${batch.blocked.code}: ${batch.blocked.message}` } : {}),
  };
};

/** Whether all lanes of the batch are held, it is blocked, or it only waits for batch APIs. */
const waitsLong = ({ batch, state }: BatchSnapshot): boolean => {
  const hasOnlyShards = state.openShards > 0 && state.returningShards === 0 && state.outstanding === 0;
  if (hasOnlyShards && state.dispatched >= batch.total) return true;
  const lanes = Object.keys(state.positions).length;
  const held = (batch.waitingFor ?? []).filter(({ lane }) => lane in state.positions).length;
  return batch.blocked !== undefined || (lanes > 0 && held >= lanes);
};

/**
 * Runs a batch's job: step by step until the batch is terminal, it reads the record, shows the progress and does what
 * the status asks for. The job is active while the batch is at work. It goes back to the queue for its next step when
 * the batch rests, when other batches want the place, and when the process stops. No step needs what an earlier one
 * left in memory: after a crash any api process takes the next step.
 */
export const createRunBatchJob = (options: RunBatchJobOptions) => {
  const {
    batches,
    records,
    validate,
    dispatch,
    wakeShards,
    reconcile,
    observe,
    stepUp,
    lookAtCost,
    hasCallsInFlight,
    wake,
    finalize,
    retire,
    onBlocked,
    places,
    now,
  } = options;

  /** Seals a stopped batch once its calls in flight and its shards have ended, or their time to end is over. */
  const sealWhenDrained = async (snapshot: BatchSnapshot): Promise<void> => {
    const { batch, state } = snapshot;
    const { outstanding, positions, openShards, stoppedAt = 0 } = state;
    if (openShards > 0 && now() < stoppedAt * 1000 + shardCancelMs) return wakeShards(snapshot);
    const isInGrace = now() < stoppedAt * 1000 + stopGraceMs;
    if (outstanding > 0 && isInGrace && (await hasCallsInFlight(batch.id, Object.keys(positions)))) return;
    const summary = (await records.get(batch.tenant, batch.inputFileId))?.summary;
    const runnable = summary && summary.problemCount === 0 ? summary.requests : 0;
    await batches.seal(batch.id, batch.total || runnable);
  };

  const pausedRestMs = (batch: Batch): number => {
    const { expiresAt } = batch;
    const restMs = Math.max(watchTickMs, Math.min(longestRestMs, (now() - (pausedSince(batch) ?? 0) * 1000) / 2));
    return Math.max(0, Math.min(restMs, expiresAt * 1000 - now()));
  };

  let lastLookAtMs = 0;
  const nextLookMs = (): number => {
    lastLookAtMs = Math.max(now() + watchTickMs, lastLookAtMs + betweenLooksMs);
    return lastLookAtMs - now();
  };

  /** What a batch does that a limit of its cost holds. */
  const waitForMoney = async ({ batch }: BatchSnapshot): Promise<NextStep> => {
    const look = await lookAtCost(batch);
    if (look === 'open') return { afterMs: 0 };
    if (look === 'calls in flight') return { afterMs: dispatchTickMs };
    // Nobody tells when a tenant's limit is raised.
    return { afterMs: batch.costHold?.limit === 'max_cost' ? pausedRestMs(batch) : nextLookMs(), rests: true };
  };

  /** Whether a batch that was paused no longer is, or has another reason to take a step. */
  const wantsStep = async (id: string): Promise<boolean> => {
    const snapshot = await batches.read(id);
    if (!snapshot) return false;
    const { batch, state } = snapshot;
    return (batch.pausedAt === undefined && batch.costHold === undefined) || state.stopping !== undefined;
  };

  /** Restores what was lost and dispatches as many requests as there is room for. Notes why the batch is blocked. */
  const advance = async (snapshot: BatchSnapshot): Promise<'changed' | 'blocked' | 'done' | 'not done'> => {
    const { id, blocked } = snapshot.batch;
    try {
      if (await reconcile(snapshot)) return 'changed';
      const { done } = await dispatch(snapshot);
      if (blocked && isDispatchBlockedCode(blocked.code)) {
        await batches.unblock(id, blocked);
        return 'changed';
      }
      return done ? 'done' : 'not done';
    } catch (error) {
      if (!(error instanceof DispatchBlockedError)) throw error;
      if (await batches.block(id, error)) onBlocked(id, error);
      return 'blocked';
    }
  };

  const step = async (snapshot: BatchSnapshot): Promise<NextStep> => {
    const { batch } = snapshot;
    if (batch.status === 'validating') {
      const { id, tenant, inputFileId } = batch;
      const [input] = await Promise.all([
        records.get(tenant, inputFileId),
        batches.confirmCreated(batch, batch.createdAt * 1000),
      ]);
      await records.use(tenant, inputFileId, { batchId: id, requests: input?.summary?.requests ?? 0 }, now());
      await validate(batch);
      return { afterMs: 0 };
    }
    const { stopping, sealed, ready } = snapshot.state;
    if (ready) {
      await finalize(batch.id);
      return { afterMs: watchTickMs };
    }
    if (stopping) {
      if (sealed) await reconcile(snapshot);
      else await sealWhenDrained(snapshot);
      return { afterMs: snapshot.state.openShards > 0 ? watchTickMs : dispatchTickMs };
    }
    if (batch.status === 'in_progress' && now() >= batch.expiresAt * 1000) {
      await batches.stop(batch.id, 'expired', now());
      return { afterMs: dispatchTickMs };
    }
    if (batch.pausedAt !== undefined) {
      if (snapshot.state.openShards > 0) await wakeShards(snapshot);
      await observe(snapshot);
      return { afterMs: pausedRestMs(batch), rests: true };
    }
    if (batch.costHold !== undefined) return waitForMoney(snapshot);
    const advanced = await advance(snapshot);
    if (advanced === 'changed') return { afterMs: 0 };
    await observe(snapshot);
    await stepUp(snapshot);
    if (advanced === 'blocked' || waitsLong(snapshot)) return { afterMs: nextLookMs(), rests: true };
    return { afterMs: advanced === 'done' ? watchTickMs : dispatchTickMs };
  };

  const runSteps = async (job: Job<BatchJob>, lock: JobLock): Promise<BatchProgress | { status: 'gone' }> => {
    const { batchId } = job.data;
    let shown = JSON.stringify(job.progress);
    for (;;) {
      const snapshot = await batches.read(batchId);
      if (!snapshot) return { status: 'gone' };
      const { batch } = snapshot;
      const progress = progressOf(batch);
      const isNew = JSON.stringify(progress) !== shown;
      const showing = isNew ? job.updateProgress({ ...progress }) : undefined;
      shown = JSON.stringify(progress);
      if (isTerminal(batch.status)) {
        await Promise.all([showing, retire(batch)]);
        return progress;
      }
      const [{ afterMs, rests = false }] = await Promise.all([step(snapshot), showing]);
      const nextAtMs = Date.now() + afterMs;
      const isLong = rests && (batch.pausedAt !== undefined || batch.costHold !== undefined);
      const staysInPlace = !rests && (await places.wait(afterMs));
      if (!lock.isHeld) throw new DelayedError();
      if (staysInPlace) continue;
      await job.moveToDelayed(places.isClosed() && !isLong ? Date.now() : nextAtMs, job.token);
      // Who resumed or cancelled the batch since it was read has found no resting job to wake.
      if (isLong && (await wantsStep(batchId))) await wake(batchId);
      throw new DelayedError();
    }
  };

  return async (job: Job<BatchJob>, lock: JobLock) => {
    const giveUpPlace = places.take();
    try {
      return await runSteps(job, lock);
    } finally {
      giveUpPlace();
    }
  };
};
