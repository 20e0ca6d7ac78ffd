import {
  jobIdOf,
  type Lane,
  noUsage,
  type RequestJob,
  type RequestRefusals,
  type RetryPolicy,
  toResult,
} from '@promptmill/core';
import {
  type CallFailure,
  type CallResult,
  laneSignalOf,
  type ProviderClient,
  type TokenEstimator,
} from '@promptmill/provider';
import type { DeltaPublisher, JobLock, LaneHold, ResultRecorder } from '@promptmill/queue';
import type { Metrics, PassFailPoint } from '@promptmill/runtime';
import { DelayedError, type Job, UnrecoverableError } from 'bullmq';
import { decide, type Ending, endingOfState, isRefusal, publicReasonOf, reasonOf, type RecordedEnd } from './decide.ts';
import type { Admission } from './lane/admission.ts';
import { type Fallback, type FindFallback, modelName } from './lane/fallback.ts';
import type { LaneGate } from './lane/lane-gate.ts';
import type { Quarantine } from './quarantine.ts';
import { countRefusal } from './refusals.ts';
import type { TenantGate, TenantShare } from './tenant/tenant-gate.ts';
import type { UntilRedisTakes } from './until-redis-takes.ts';

export interface ProcessRequestOptions {
  readonly lane: Lane;
  readonly client: ProviderClient;
  readonly gate: LaneGate;
  readonly tenantGate: TenantGate;
  /** 0 when the lane can afford another retry; else how long to wait before asking again, in milliseconds. */
  readonly takeRetry: () => Promise<number>;
  /** Undefined while the lane does not limit tokens. */
  readonly estimator: () => TokenEstimator | undefined;
  readonly findFallback: FindFallback;
  readonly recorder: ResultRecorder;
  readonly deltas: DeltaPublisher;
  readonly retry: RetryPolicy;
  readonly untilRedisTakes: UntilRedisTakes;
  /** Jobs whose call is under way, or has an answer that is not recorded. */
  readonly unrecorded: Set<JobLock>;
  readonly quarantine: Quarantine;
  /** Fires when calls under way must be given up, since the process ends. */
  readonly giveUp: AbortSignal;
  /** Logs why a call failed whose result does not say all. */
  readonly onFailure: (failure: CallFailure) => void;
  readonly metrics: Pick<Metrics, 'calls' | 'callDuration' | 'fallbacks'>;
  readonly passFailPoint: PassFailPoint;
}

/** What a finished job returns. The result itself is on the results stream. */
export interface JobReference {
  /** `moved`: another lane, or another worker, has it now. `parked`: it gets a new job when its paused batch goes on. */
  readonly status: 'recorded' | 'duplicate' | 'sealed' | 'settled' | 'dropped' | 'moved' | 'parked';
}

/** A request that waited longer than this for its lane is checked again: its batch may be stopped or paused. */
const askAgainAfterMs = 1000;
/**
 * In a paused batch, a request that has used attempts keeps its job, which counts them. It is checked again after this
 * time.
 */
const pausedAgainMs = 5000;

/**
 * A request that lost this many workers runs in quarantine. When it loses one more there, it is the cause. Workers that
 * were lost before they called, as when Redis is away, do not count against it.
 */
const suspectAfter = 2;
const killedItsWorkers = {
  kind: 'error',
  code: 'worker_lost',
  message: 'Each worker that ran this request was lost.',
} as const;

/** When the quarantine is taken, a request asks for it again after this time, or up to twice as much. */
const quarantineWaitMs = 1000;

/** A request that gives its place to other batches comes back after this time. */
const giveWayMs = 2000;

/** Retries beyond the lane's budget come back spread over this time. */
const retrySpreadMs = 4000;

/** What the lane is told of an end that is no failure. */
const signalOf = { success: 'ok', aborted: 'none', unsent: 'unsent' } as const;

/** The tokens that a call used. Undefined when unknown: a call that broke off may have used some at the provider. */
const totalTokens = (result: CallResult): number | undefined => {
  if (result.kind === 'success') return result.usage.inputTokens + result.usage.outputTokens || undefined;
  return result.kind === 'failure' && isRefusal(result) ? 0 : undefined;
};

/** The request's refusals with this one. Undefined when the call was not refused, or the account has no money. */
const refusalsOf = (
  { refusals }: RequestJob,
  result: CallResult,
  hold: LaneHold | undefined,
): RequestRefusals | undefined => {
  if (!hold || result.kind !== 'failure' || result.class !== 'provider') return undefined;
  return laneSignalOf(result.code) === 'stopped' ? undefined : countRefusal(refusals, hold);
};

interface CallEnd {
  readonly result: CallResult;
  /** What the lane answered. Undefined when its answer is not awaited. */
  readonly hold: LaneHold | undefined;
}

const hasKilledItsWorkers = ({ stalledCounter, data }: Job<RequestJob>): boolean =>
  stalledCounter > suspectAfter && (data.begun ?? 0) >= suspectAfter;

/**
 * Answers one request: asks whether it is still wanted, waits until its lane lets it in, calls the provider, and carries
 * out what {@link decide} makes of the result. The result is recorded before the job ends: after a crash in between, the
 * next worker finds it and makes no call.
 */
export const createProcessRequest = (options: ProcessRequestOptions) => {
  const { lane, client, gate, tenantGate, takeRetry, estimator, findFallback, recorder, deltas, retry } = options;
  const { untilRedisTakes, unrecorded, quarantine, giveUp, onFailure, metrics, passFailPoint } = options;
  const callDuration = metrics.callDuration.labels({ lane: lane.name });
  const successes = metrics.calls.labels({ lane: lane.name, class: 'success' });

  const record = async (request: RequestJob, { outcome, usage }: RecordedEnd) => {
    const { fallbackFrom } = request;
    const note = fallbackFrom === undefined ? undefined : { model: modelName(lane, request), fallbackFrom };
    const { status, line } = toResult(request, outcome, note);
    const recorded = await untilRedisTakes(() => recorder.record(request, status, line, usage));
    passFailPoint('recorded');
    return recorded;
  };

  /**
   * Checks a request before it waits for its lane. Returns how the job ends without a call, or undefined when it may be
   * called.
   */
  const check = async (job: Job<RequestJob>): Promise<Ending | undefined> => {
    const state = await untilRedisTakes(() => recorder.check(job.data));
    if (state !== 'run') return endingOfState(state);
    if (hasKilledItsWorkers(job))
      return { kind: 'record', outcome: killedItsWorkers, usage: noUsage, failure: killedItsWorkers.message };
    if (job.attemptsMade === 0) return undefined;
    const waitMs = await untilRedisTakes(takeRetry);
    return waitMs > 0 ? { kind: 'put back', delayMs: waitMs + Math.random() * retrySpreadMs } : undefined;
  };

  /** Waits until the lane admits the call. */
  const admit = async (
    request: RequestJob,
    lock: JobLock,
    fallback: Fallback | undefined,
  ): Promise<Admission | { readonly ending: Ending }> => {
    const estimatedTokens = estimator()?.estimate(request.body) ?? 0;
    let askedAtMs = performance.now();
    for (;;) {
      const admission = await gate.admit({ batchId: request.batchId, estimatedTokens, fallback }, giveUp);
      if (!admission) return { ending: { kind: 'put back', delayMs: 0 } };
      if (admission === 'fallback') return { ending: { kind: 'fall back' } };
      if (admission === 'later') return { ending: { kind: 'put back', delayMs: giveWayMs } };
      const giveBack = async (ending: Ending) => {
        if (admission !== 'unwanted') await untilRedisTakes(() => admission.reportEnd({ signal: 'unsent' }));
        return { ending };
      };
      if (admission === 'unwanted' || performance.now() - askedAtMs > askAgainAfterMs) {
        askedAtMs = performance.now();
        const state = await untilRedisTakes(() => recorder.check(request));
        if (state !== 'run') return giveBack(endingOfState(state));
        if (admission === 'unwanted') continue;
      }
      return lock.isHeld ? admission : giveBack({ kind: 'skip', status: 'moved' });
    }
  };

  /** Tells the lane how a call ended, and the batch's owner how its request failed. */
  const tellLane = async (
    { batchId }: RequestJob,
    admission: Admission,
    result: CallResult,
  ): Promise<LaneHold | undefined> => {
    const usedTokens = totalTokens(result);
    if (result.kind !== 'failure') {
      const isSuccess = result.kind === 'success';
      return untilRedisTakes(() => admission.reportEnd({ signal: signalOf[result.kind], usedTokens, isSuccess }));
    }
    const { code, retryAfterMs, detail } = result;
    const reason = publicReasonOf(result);
    const message = reasonOf(result);
    const end = { signal: laneSignalOf(code), retryAfterMs, reason, message: detail ?? message, usedTokens, batchId };
    const hold = await untilRedisTakes(() => admission.reportEnd(end));
    if (hold?.began || result.class === 'provider')
      await untilRedisTakes(() => recorder.noteRefusal(batchId, { lane: lane.name, reason, message }));
    return hold;
  };

  /** Makes one call. The call goes on when another worker takes the job meanwhile, since it is paid for. */
  const call = async (
    request: RequestJob,
    lock: JobLock,
    admission: Admission,
    share: TenantShare | undefined,
  ): Promise<CallEnd> => {
    const startedAt = performance.now();
    const streamed = request.body['stream'] === true ? deltas.open(request) : undefined;
    unrecorded.add(lock);
    const result = await client.call({
      url: request.url,
      body: request.body,
      idempotencyKey: jobIdOf(request.batchId, request.index),
      signal: giveUp,
      maySend: () => (share?.send() ?? true) && admission.send(),
      onDelta: streamed?.add,
    });
    if (result.kind !== 'success') unrecorded.delete(lock);
    if (result.kind === 'success' || result.kind === 'failure') passFailPoint('answered');
    streamed?.end(result.kind === 'success');
    if (result.kind !== 'unsent') {
      if (result.kind === 'success') successes.inc();
      else metrics.calls.inc({ lane: lane.name, class: result.kind === 'failure' ? result.class : result.kind });
      callDuration.observe((performance.now() - startedAt) / 1000);
    }
    if (result.kind === 'success') estimator()?.learn(request.body, result.usage);
    if (result.kind === 'failure' && (result.detail !== undefined || result.class === 'provider')) onFailure(result);
    if (share) await untilRedisTakes(() => share.end(result.kind === 'unsent' ? 'unsent' : totalTokens(result)));
    return { result, hold: await tellLane(request, admission, result) };
  };

  /** Waits until the request's tenant and its lane let a call in, and makes it. */
  const callOnce = async (
    job: Job<RequestJob>,
    lock: JobLock,
    fallback: Fallback | undefined,
    isFirst: boolean,
  ): Promise<CallEnd | { readonly ending: Ending }> => {
    const request = job.data;
    const share = tenantGate.isInUse() ? await untilRedisTakes(() => tenantGate.enter(request)) : undefined;
    if (share === 'full') return { ending: { kind: 'wait for tenant' } };
    try {
      const admission = await admit(request, lock, fallback);
      if ('ending' in admission) return admission;
      if (job.stalledCounter > 0 && isFirst)
        await untilRedisTakes(() => job.updateData({ ...request, begun: (request.begun ?? 0) + 1 }));
      return await call(request, lock, admission, share);
    } finally {
      // Where the call has ended, it has been given back already.
      if (share) await untilRedisTakes(() => share.end('unsent'));
    }
  };

  /** Checks a request, waits for its lane and calls the provider, until it is known how the job ends. */
  const answer = async (job: Job<RequestJob>, lock: JobLock, fallback: Fallback | undefined): Promise<Ending> => {
    const request = job.data;
    if (tenantGate.isFull(request)) return { kind: 'wait for tenant' };
    const ending = await check(job);
    if (ending) return ending;
    for (let calls = 0; ; calls++) {
      const called = await callOnce(job, lock, fallback, calls === 0);
      if ('ending' in called) return called.ending;
      const { result, hold } = called;
      const next = decide(result, {
        refusals: refusalsOf(request, result, hold),
        probeIntervalMs: lane.provider.probeIntervalMs,
        attemptsLeft: retry.attempts - job.attemptsMade - 1,
        hasFallback: fallback !== undefined,
      });
      if (next.kind !== 'call again') return next;
    }
  };

  /**
   * Ends the job. To BullMQ an error is a failed attempt, and DelayedError is a job that has gone back to its queue.
   */
  const carryOut = async (
    job: Job<RequestJob>,
    lock: JobLock,
    ending: Ending,
    fallback: Fallback | undefined,
  ): Promise<JobReference> => {
    const putBack = async (delayMs: number): Promise<never> => {
      await untilRedisTakes(() => job.moveToDelayed(Date.now() + delayMs, job.token));
      throw new DelayedError();
    };
    switch (ending.kind) {
      case 'record': {
        const status = await record(job.data, ending);
        unrecorded.delete(lock);
        if (ending.failure !== undefined) throw new UnrecoverableError(ending.failure);
        return { status };
      }
      case 'retry':
        throw new Error(ending.reason);
      case 'fall back':
        await untilRedisTakes(async () => fallback?.add());
        passFailPoint('fallback-added');
        metrics.fallbacks.inc({ lane: lane.name });
        return { status: 'moved' };
      case 'put back': {
        const { delayMs, refusals } = ending;
        if (refusals) await untilRedisTakes(() => job.updateData({ ...job.data, refusals }));
        return putBack(delayMs);
      }
      case 'wait for tenant':
        await untilRedisTakes(() => job.moveToDelayed(Date.now() + tenantGate.delayMs(job.data), job.token));
        tenantGate.note(job.data, { lane: lane.name, jobId: jobIdOf(job.data.batchId, job.data.index) });
        throw new DelayedError();
      case 'park':
        return job.attemptsMade === 0 ? { status: 'parked' } : putBack(pausedAgainMs);
      default:
        return { status: ending.status };
    }
  };

  const processRequest = async (job: Job<RequestJob>, lock: JobLock): Promise<JobReference> => {
    const fallback = findFallback(job.data, lane);
    const run = () => answer(job, lock, fallback);
    const ending = job.stalledCounter < suspectAfter ? await run() : await quarantine.run(run);
    const delayMs = quarantineWaitMs * (1 + Math.random());
    return carryOut(job, lock, ending === 'taken' ? { kind: 'put back', delayMs } : ending, fallback);
  };

  return {
    processRequest,
    /** Records a result for a job that failed for an unforeseen reason. */
    recordFailed: (request: RequestJob, message: string) =>
      record(request, { outcome: { kind: 'error', code: 'internal_error', message }, usage: noUsage }),
  };
};
