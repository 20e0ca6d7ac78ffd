import {
  jobIdOf,
  type Lane,
  noUsage,
  type Outcome,
  type RequestJob,
  type RetryPolicy,
  toResult,
} from '@promptmill/core';
import {
  type CallFailure,
  type CallResult,
  type CallSuccess,
  laneSignalOf,
  type ProviderClient,
  type TokenEstimator,
} from '@promptmill/provider';
import type { DeltaPublisher, RequestState, ResultRecorder } from '@promptmill/queue';
import type { Reach } from '@promptmill/runtime';
import { DelayedError, type Job, UnrecoverableError } from 'bullmq';
import type { Insist } from './insist.ts';
import type { Admission } from './lane/admission.ts';
import { type Fallback, type FindFallback, modelName } from './lane/fallback.ts';
import type { LaneGate } from './lane/lane-gate.ts';
import type { Quarantine } from './quarantine.ts';

export interface ProcessRequestOptions {
  readonly lane: Lane;
  readonly client: ProviderClient;
  readonly recorder: ResultRecorder;
  readonly deltas: DeltaPublisher;
  readonly gate: LaneGate;
  /** Undefined while the lane does not limit tokens. */
  readonly estimator: () => TokenEstimator | undefined;
  readonly findFallback: FindFallback;
  readonly quarantine: Quarantine;
  /** 0 when the lane can afford another retry; else how long to wait before asking again, in milliseconds. */
  readonly takeRetry: () => Promise<number>;
  readonly retry: RetryPolicy;
  /** All that Redis must take goes through it. */
  readonly insist: Insist;
  /** Requests whose call is under way, or has an answer that is not recorded. */
  readonly inHand: Set<string>;
  /** Jobs in work, by id, and whether they still are this worker's: while it was stopped another may have taken them. */
  readonly owned: Map<string, boolean>;
  readonly reach: Reach;
  readonly onFallback: () => void;
  readonly onCall: (result: CallResult, durationMs: number) => void;
}

/** What a finished job returns: a reference. The result itself is on its batch's stream. */
export interface JobReference {
  /** `moved`: another lane, or another worker, has it now. `parked`: its batch is paused; it gets a new job when the batch goes on. */
  readonly status: 'recorded' | 'duplicate' | 'closed' | 'settled' | 'dropped' | 'moved' | 'parked';
}

const outcomeOf = ({ response, code, message }: CallFailure): Outcome =>
  response ? { kind: 'response', ...response } : { kind: 'error', code, message };

const reasonOf = ({ code, message }: CallFailure): string => `${code}: ${message}`;

/** The provider took no notice of the request: it goes back, and has used no attempt. */
const isRefusal = (failure: CallFailure): boolean =>
  failure.class === 'provider' || laneSignalOf(failure.code) === 'throttled';

/** Whether another attempt may change the answer, and the request has one left. */
const mayRetry = (failure: CallFailure, job: Job<RequestJob>, retry: RetryPolicy): boolean =>
  failure.class === 'retry' && job.attemptsMade + 1 < retry.attempts;

/** A request that was found to be wanted longer ago than this, because it waited for its lane, may not be any more. */
const askAgainAfterMs = 1000;
/** A paused batch's request that has used attempts keeps its job, which remembers them. */
const pausedAgainMs = 5000;

/**
 * So many workers were lost with a request before it runs in quarantine. One more, and it was the request: unless they
 * were lost before they called, as when Redis is away, which says nothing against it.
 */
const suspectAfter = 2;
const killedItsWorkers = {
  kind: 'error',
  code: 'worker_lost',
  message: 'Each worker that ran this request was lost.',
} as const;

/** When a request asks for the quarantine again, at the earliest. */
const quarantineWaitMs = 1000;

/** Retries that the lane cannot afford yet come back at different times. */
const retrySpreadMs = 4000;

/** What an end that is no failure says of the lane. */
const signalOf = { success: 'ok', aborted: 'none', unsent: 'unsent' } as const;

/** Undefined when nobody knows: what came back of a broken call was paid for, and counts at the provider. */
const totalTokens = (result: CallResult): number | undefined => {
  if (result.kind === 'success') return result.usage.inputTokens + result.usage.outputTokens || undefined;
  return result.kind === 'failure' && isRefusal(result) ? 0 : undefined;
};

/**
 * Answers one request: calls the provider, when its lane lets it in, unless the request is settled, and records the
 * result before the job ends, so that a crash in between repeats the recording's refusal and not the call.
 */
export const createProcessRequest = (options: ProcessRequestOptions) => {
  const {
    lane,
    client,
    recorder,
    deltas,
    gate,
    estimator,
    findFallback,
    quarantine,
    takeRetry,
    retry,
    insist,
    inHand,
    owned,
    reach,
    onFallback,
    onCall,
  } = options;

  const record = async (job: RequestJob, outcome: Outcome, usage = noUsage) => {
    const { batchId, index, customId, fallbackFrom } = job;
    const note = fallbackFrom === undefined ? undefined : { model: modelName(lane, job), fallbackFrom };
    const { status, line } = toResult(batchId, index, customId, outcome, note);
    const recorded = await insist(() => recorder.record(job, status, line, usage));
    inHand.delete(jobIdOf(batchId, index));
    reach('recorded');
    return recorded;
  };

  const leave = async (admission: Admission, result: CallResult): Promise<void> => {
    const usedTokens = totalTokens(result);
    if (result.kind === 'failure') {
      const end = { signal: laneSignalOf(result.code), retryAfterMs: result.retryAfterMs, reason: reasonOf(result) };
      await insist(() => admission.leave({ ...end, usedTokens }));
    } else {
      const signal = signalOf[result.kind];
      await insist(() => admission.leave({ signal, usedTokens }));
    }
  };

  /** One call that the provider took notice of; a refused one waits in the lane and is made again, or goes to the fallback. */
  const callOnce = async (
    request: RequestJob,
    signal: AbortSignal,
    fallback: Fallback | undefined,
    begunAt: number,
    noteCall: () => Promise<void>,
  ): Promise<CallSuccess | CallFailure | 'aborted' | 'disowned' | 'fallback' | Exclude<RequestState, 'run'>> => {
    const tokens = estimator();
    const { batchId } = request;
    const wanted = { batchId, estimatedTokens: tokens?.estimate(request.body) ?? 0, fallback };
    for (;;) {
      const admission = await gate.enter(wanted, signal);
      if (!admission) return 'aborted';
      if (admission === 'fallback') return 'fallback';
      if (admission === 'unwanted' || performance.now() - begunAt > askAgainAfterMs) {
        begunAt = performance.now();
        const state = await insist(() => recorder.begin(request));
        if (state !== 'run' && admission !== 'unwanted') await insist(() => admission.leave({ signal: 'unsent' }));
        if (state !== 'run') return state;
        if (admission === 'unwanted') continue;
      }
      const idempotencyKey = jobIdOf(batchId, request.index);
      // Another is at it. A call under way is never given up: it is paid for.
      if (owned.get(idempotencyKey) === false) {
        await insist(() => admission.leave({ signal: 'unsent' }));
        return 'disowned';
      }
      await noteCall();
      const startedAt = performance.now();
      const streamed = request.body['stream'] === true ? deltas.open(request) : undefined;
      inHand.add(idempotencyKey);
      const result = await client.call({
        url: request.url,
        body: request.body,
        idempotencyKey,
        signal,
        maySend: () => admission.send(),
        onDelta: streamed?.add,
      });
      if (result.kind !== 'success') inHand.delete(idempotencyKey);
      if (result.kind === 'success' || result.kind === 'failure') reach('answered');
      streamed?.end(result.kind === 'success');
      if (result.kind !== 'unsent') onCall(result, performance.now() - startedAt);
      if (result.kind === 'success') tokens?.learn(request.body, result.usage);
      await leave(admission, result);
      if (result.kind === 'unsent') continue;
      if (result.kind === 'aborted') return 'aborted';
      if (result.kind === 'success' || !isRefusal(result)) return result;
      if (result.class === 'provider' && fallback) return 'fallback';
    }
  };

  /** No attempt is used. */
  const putBack = async (job: Job<RequestJob>, token: string | undefined, delayMs: number): Promise<never> => {
    await insist(() => job.moveToDelayed(Date.now() + delayMs, token));
    throw new DelayedError();
  };

  const answer = async (
    job: Job<RequestJob>,
    token: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<JobReference> => {
    const request = job.data;
    const park = async (): Promise<JobReference> =>
      job.attemptsMade === 0 ? { status: 'parked' } : putBack(job, token, pausedAgainMs);
    const begunAt = performance.now();
    const state = await insist(() => recorder.begin(request));
    if (state === 'paused') return park();
    if (state !== 'run') return { status: state };
    if (job.stalledCounter > suspectAfter && (request.begun ?? 0) >= suspectAfter) {
      await record(request, killedItsWorkers);
      throw new UnrecoverableError(killedItsWorkers.message);
    }
    if (job.attemptsMade > 0) {
      const waitMs = await insist(takeRetry);
      if (waitMs > 0) return putBack(job, token, waitMs + Math.random() * retrySpreadMs);
    }
    const fallback = findFallback(request, lane);
    const noteCall = async (): Promise<void> => {
      if (job.stalledCounter === 0 || job.data !== request) return;
      await insist(() => job.updateData({ ...request, begun: (request.begun ?? 0) + 1 }));
    };
    const result = await callOnce(request, signal ?? new AbortController().signal, fallback, begunAt, noteCall);
    if (result === 'paused') return park();
    if (result === 'settled' || result === 'dropped') return { status: result };
    if (result === 'disowned') return { status: 'moved' };
    if (result === 'fallback') {
      if (fallback) await insist(() => fallback.add());
      reach('fallback-added');
      onFallback();
      return { status: 'moved' };
    }
    // The process is stopping: another worker takes the request at once.
    if (result === 'aborted') return putBack(job, token, 0);
    if (result.kind === 'success') {
      const { statusCode, requestId, body } = result;
      return { status: await record(request, { kind: 'response', statusCode, requestId, body }, result.usage) };
    }
    if (mayRetry(result, job, retry)) throw new Error(reasonOf(result));
    await record(request, outcomeOf(result));
    throw new UnrecoverableError(reasonOf(result));
  };

  // BullMQ passes the signal only to a function that declares three parameters.
  const processRequest = async (
    job: Job<RequestJob>,
    token: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<JobReference> => {
    const id = jobIdOf(job.data.batchId, job.data.index);
    owned.set(id, true);
    try {
      if (job.stalledCounter < suspectAfter) return await answer(job, token, signal);
      const outcome = await quarantine.run(() => answer(job, token, signal));
      return outcome === 'taken' ? await putBack(job, token, quarantineWaitMs * (1 + Math.random())) : outcome;
    } finally {
      owned.delete(id);
    }
  };

  /** A job that has failed for a reason nobody thought of still leaves a result. */
  const recordFailed = (request: RequestJob, reason: string) =>
    record(request, { kind: 'error', code: 'internal_error', message: reason });

  return { processRequest, recordFailed };
};
