import { bodyThatAsksAgain, jobIdOf, type Lane, type RequestBody, type RequestJob, sourceOf } from '@promptmill/core';
import {
  type AnswerCheck,
  type CallFailure,
  type CallResult,
  laneSignalOf,
  type ProviderClient,
  type TokenEstimator,
} from '@promptmill/provider';
import type { DeltaPublisher, JobLock, LaneHold } from '@promptmill/queue';
import type { Metrics, PassFailPoint, Tracing } from '@promptmill/runtime';
import type { Job } from 'bullmq';
import { attemptSpan } from './attempt-span.ts';
import { type Ending, endingOfState, isRefusal, mayCall, publicReasonOf, reasonOf } from './decide.ts';
import type { Admission } from './lane/admission.ts';
import type { Fallback } from './lane/fallback.ts';
import type { LaneGate } from './lane/lane-gate.ts';
import type { TenantGate, TenantShare } from './tenant/tenant-gate.ts';
import type { LiveRun } from './live-requests.ts';
import type { RequestRecorder } from './request-recorder.ts';
import type { UntilRedisTakes } from './until-redis-takes.ts';

export interface MakeCallOptions {
  readonly lane: Lane;
  readonly client: ProviderClient;
  readonly gate: LaneGate;
  readonly tenantGate: TenantGate;
  /** Undefined while the lane does not limit tokens. */
  readonly estimator: () => TokenEstimator | undefined;
  readonly answers: AnswerCheck;
  readonly recorder: RequestRecorder;
  readonly deltas: DeltaPublisher;
  readonly untilRedisTakes: UntilRedisTakes;
  /** Jobs whose call is under way, or has an answer that is not recorded. */
  readonly unrecorded: Set<JobLock>;
  /** Logs why a call failed whose result does not say all. */
  readonly onFailure: (failure: CallFailure) => void;
  readonly metrics: Pick<Metrics, 'calls' | 'callDuration'>;
  readonly tracing: Pick<Tracing, 'isOn' | 'step'>;
  readonly passFailPoint: PassFailPoint;
}

/** How a call ended. */
export interface CallEnd {
  readonly result: CallResult;
  /** How long it took, in milliseconds. */
  readonly callMs: number;
  /** What the lane answered. Undefined when its answer is not awaited. */
  readonly hold: LaneHold | undefined;
}

/** What a run of a request's job has. */
export interface RequestRun {
  readonly lock: JobLock;
  readonly fallback: Fallback | undefined;
  /** Set for a live call. */
  readonly live: LiveRun | undefined;
  /** Fires when the request is to be given up. */
  readonly signal: AbortSignal;
}

/** A request that waited longer than this for its lane is checked again: its batch may be stopped or paused. */
const askAgainAfterMs = 1000;
/** A request that gives its place to other batches comes back after this time. */
const giveWayMs = 2000;

/** What the lane is told of an end that is no failure. */
const signalOf = { success: 'ok', aborted: 'none', unsent: 'unsent' } as const;

/** What is sent for a request: its body, and after an answer that did not match its schema what was wrong with it. */
const callOf = ({
  url,
  body,
  mismatch,
  batchId,
  index,
}: RequestJob): { readonly body: RequestBody; readonly idempotencyKey: string } => {
  const jobId = jobIdOf(batchId, index);
  // A provider that knows the key of the first call would give its answer again.
  if (mismatch) return { body: bodyThatAsksAgain(url, body, mismatch), idempotencyKey: `${jobId}-again` };
  return { body, idempotencyKey: jobId };
};

/** The tokens that a call used. Undefined when unknown: a call that broke off may have used some at the provider. */
const totalTokens = (result: CallResult): number | undefined => {
  if (result.kind === 'success') return result.usage.inputTokens + result.usage.outputTokens || undefined;
  return result.kind === 'failure' && isRefusal(result) ? 0 : undefined;
};

/**
 * Waits until a request's tenant and its lane let a call in, makes it, and tells both how it ended. Resolves with that,
 * or with how the job ends without a call.
 *
 * @param isFirst whether it is the first call of this run of the job
 */
export const createMakeCall = (options: MakeCallOptions) => {
  const { lane, client, gate, tenantGate, estimator, answers, recorder, deltas } = options;
  const { untilRedisTakes, unrecorded, onFailure, metrics, tracing, passFailPoint } = options;
  const callDuration = metrics.callDuration.labels({ lane: lane.name });
  const successes = metrics.calls.labels({ lane: lane.name, class: 'success' });

  /** Waits until the lane admits the call. */
  const admit = async (
    request: RequestJob,
    { lock, fallback, signal }: RequestRun,
  ): Promise<Admission | { readonly ending: Ending }> => {
    const { batchId, live } = request;
    const estimatedTokens = estimator()?.estimate(request.body) ?? 0;
    const wanted = { batchId, source: sourceOf(request), isLive: live !== undefined, estimatedTokens, fallback };
    let askedAtMs = performance.now();
    for (;;) {
      const admission = await gate.admit(wanted, signal);
      if (!admission) return { ending: { kind: 'put back', delayMs: 0 } };
      if (admission === 'fallback') return { ending: { kind: 'fall back' } };
      if (admission === 'later') return { ending: { kind: 'put back', delayMs: giveWayMs, givesWay: true } };
      const giveBack = async (ending: Ending) => {
        if (admission !== 'unwanted') await untilRedisTakes(() => admission.reportEnd({ signal: 'unsent' }));
        return { ending };
      };
      if (admission === 'unwanted' || performance.now() - askedAtMs > askAgainAfterMs) {
        askedAtMs = performance.now();
        const state = await untilRedisTakes(() => recorder.check(request));
        // What the call is expected to cost is reserved, whatever the batch waits for by now.
        if (!mayCall(state) && state !== 'held') return giveBack(endingOfState(state));
        if (admission === 'unwanted') continue;
      }
      return lock.isHeld ? admission : giveBack({ kind: 'skip', status: 'moved' });
    }
  };

  /** Tells the lane how a call ended, and the batch's owner how its request failed. */
  const tellLane = async (
    request: RequestJob,
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
    const source = sourceOf(request);
    const end = { signal: laneSignalOf(code), retryAfterMs, reason, message: detail ?? message, usedTokens, source };
    const hold = await untilRedisTakes(() => admission.reportEnd(end));
    if (hold?.began || result.class === 'provider')
      await untilRedisTakes(() => recorder.noteRefusal(request, { lane: lane.name, reason, message }));
    return hold;
  };

  /** Makes one call. The call goes on when another worker takes the job meanwhile, since it is paid for. */
  const call = async (
    request: RequestJob,
    { lock, live, signal }: RequestRun,
    admission: Admission,
    share: TenantShare | undefined,
  ): Promise<CallEnd> => {
    const startedAt = performance.now();
    const isStreamed = request.body['stream'] === true;
    const streamed = isStreamed && !live ? deltas.open(request) : undefined;
    const liveStream = isStreamed ? live?.openStream() : undefined;
    const { body, idempotencyKey } = callOf(request);
    unrecorded.add(lock);
    const result = await client.call({
      url: request.url,
      body,
      idempotencyKey,
      signal,
      maySend: () => (share?.send() ?? true) && admission.send(),
      onDelta: streamed?.add,
      onStream: liveStream?.onStream,
      onEvent: liveStream?.onEvent,
    });
    const callMs = performance.now() - startedAt;
    const endedAtMs = Date.now();
    await liveStream?.sent();
    if (result.kind !== 'success') unrecorded.delete(lock);
    if (result.kind === 'success' || result.kind === 'failure') passFailPoint('answered');
    if (result.kind === 'success') estimator()?.learn(body, result.usage);
    if (result.kind === 'failure' && (result.detail !== undefined || result.class === 'provider')) onFailure(result);
    if (share) await untilRedisTakes(() => share.end(result.kind === 'unsent' ? 'unsent' : totalTokens(result)));
    const hold = await tellLane(request, admission, result);
    // The lane does not wait for the check.
    const checked = result.kind === 'success' && request.checkSchema ? await answers.check(request, result) : result;
    streamed?.end(checked.kind === 'success');
    if (checked.kind !== 'unsent') {
      if (checked.kind === 'success') successes.inc();
      else metrics.calls.inc({ lane: lane.name, class: checked.kind === 'failure' ? checked.class : checked.kind });
      callDuration.observe(callMs / 1000);
      if (request.traceparent !== undefined && tracing.isOn)
        tracing.step(request.traceparent, attemptSpan(lane, request, checked, endedAtMs - callMs, endedAtMs));
    }
    return { result: checked, callMs, hold };
  };

  return async (
    job: Job<RequestJob>,
    run: RequestRun,
    isFirst: boolean,
  ): Promise<CallEnd | { readonly ending: Ending }> => {
    const request = job.data;
    const share = tenantGate.isInUse() ? await untilRedisTakes(() => tenantGate.enter(request)) : undefined;
    if (share === 'full') return { ending: { kind: 'wait for tenant' } };
    try {
      const admission = await admit(request, run);
      if ('ending' in admission) return admission;
      if (job.stalledCounter > 0 && isFirst)
        await untilRedisTakes(() => job.updateData({ ...request, begun: (request.begun ?? 0) + 1 }));
      return await call(request, run, admission, share);
    } finally {
      // Where the call has ended, it has been given back already.
      if (share) await untilRedisTakes(() => share.end('unsent'));
    }
  };
};
