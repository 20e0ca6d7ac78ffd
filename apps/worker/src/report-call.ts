import { type Lane, type RequestJob, sourceOf } from '@promptmill/core';
import { type CallFailure, type CallResult, laneSignalOf } from '@promptmill/provider';
import type { LaneHold } from '@promptmill/queue';
import type { Metrics, Tracing } from '@promptmill/runtime';
import { attemptSpan } from './attempt-span.ts';
import type { CallTarget } from './call-target.ts';
import { isRefusal, lacksCapacity, publicReasonOf, reasonOf } from './decide.ts';
import type { Admission } from './lane/admission.ts';
import type { RequestRecorder } from './request-recorder.ts';
import type { UntilRedisTakes } from './until-redis-takes.ts';

export interface ReportCallOptions {
  readonly lane: Lane;
  readonly recorder: Pick<RequestRecorder, 'noteRefusal'>;
  readonly untilRedisTakes: UntilRedisTakes;
  /** Logs why a call failed whose result does not say all. */
  readonly onFailure: (failure: CallFailure) => void;
  readonly metrics: Pick<Metrics, 'calls' | 'callDuration'>;
  readonly tracing: Pick<Tracing, 'isOn' | 'step'>;
}

/** What the lane is told of an end that is no failure. */
const signalOf = { success: 'ok', aborted: 'none', unsent: 'unsent' } as const;

/** The tokens that a call used. Undefined when unknown: a call that broke off may have used some at the provider. */
export const totalTokens = (result: CallResult): number | undefined => {
  if (result.kind === 'success') return result.usage.inputTokens + result.usage.outputTokens || undefined;
  return result.kind === 'failure' && isRefusal(result) ? 0 : undefined;
};

/** Says how calls ended: to their lane, to the owners of their requests, in the log, in metrics and in traces. */
export const createReportCall = (options: ReportCallOptions) => {
  const { lane, recorder, untilRedisTakes, onFailure, metrics, tracing } = options;
  const callDuration = metrics.callDuration.labels({ lane: lane.name });

  return {
    /**
     * Tells the lane, and the owner of the batch how its request failed.
     *
     * @param usedTokens undefined when unknown
     * @param requestsPerCall how many requests it was for
     */
    async tellLane(
      request: RequestJob,
      admission: Admission,
      result: CallResult,
      usedTokens = totalTokens(result),
      requestsPerCall = 1,
    ): Promise<LaneHold | undefined> {
      if (result.kind !== 'failure') {
        const isSuccess = result.kind === 'success';
        const end = { signal: signalOf[result.kind], usedTokens, isSuccess, requestsPerCall };
        return untilRedisTakes(() => admission.reportEnd(end));
      }
      const { code, retryAfterMs, detail } = result;
      if (detail !== undefined || result.class === 'provider') onFailure(result);
      const reason = publicReasonOf(result);
      const message = reasonOf(result);
      const source = sourceOf(request);
      const signal = lacksCapacity(lane, result) ? 'down' : laneSignalOf(code);
      const end = { signal, retryAfterMs, reason, message: detail ?? message, usedTokens, source };
      const hold = await untilRedisTakes(() => admission.reportEnd(end));
      if (hold?.began || result.class === 'provider')
        await untilRedisTakes(() => recorder.noteRefusal(request, { lane: lane.name, reason, message }));
      return hold;
    },

    /** Counts a call, unless it was not sent. */
    count({ deployment }: CallTarget, result: CallResult, callMs: number): void {
      if (result.kind === 'unsent') return;
      const labels = { lane: lane.name, class: result.kind === 'failure' ? result.class : result.kind };
      metrics.calls.inc(deployment === undefined ? labels : { ...labels, deployment });
      callDuration.observe(callMs / 1000);
    },

    /** Adds an attempt to the trace of its request, where it is traced. Both times are Unix milliseconds. */
    trace(
      { provider }: CallTarget,
      request: RequestJob,
      result: CallResult,
      startedAtMs: number,
      endedAtMs: number,
    ): void {
      if (request.traceparent !== undefined && tracing.isOn && result.kind !== 'unsent')
        tracing.step(
          request.traceparent,
          attemptSpan({ name: lane.name, provider }, request, result, startedAtMs, endedAtMs),
        );
    },
  };
};

export type ReportCall = ReturnType<typeof createReportCall>;
