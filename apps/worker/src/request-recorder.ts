import { type Refusal, type RequestJob, type TierNote, toResult } from '@promptmill/core';
import type { Charge, RecordOutcome, RequestState, ResultRecorder, UsageCounter } from '@promptmill/queue';
import type { RecordedEnd } from './decide.ts';
import type { LiveRequests } from './live-requests.ts';

interface RecordedMore {
  /** The model that answered in place of the one that the request names. */
  readonly fallbackModel: string | undefined;
  readonly tier: TierNote | undefined;
  /** What the call cost. Undefined when it gave no answer, or none was made. */
  readonly charge: Charge | undefined;
}

/** Checks requests before a call, and records their results: those of batches, and live calls. */
export interface RequestRecorder {
  check(request: RequestJob): Promise<RequestState>;
  record(request: RequestJob, end: RecordedEnd, more: RecordedMore): Promise<RecordOutcome>;
  /** Counts a call that gave no result although its provider says what it used. */
  noteWaste(request: RequestJob, charge: Charge): Promise<void>;
  /** Counts a call that failed and is made again. */
  noteRetry(request: RequestJob): Promise<void>;
  /** Notes how a provider refused a request, for its owner to read. */
  noteRefusal(request: RequestJob, refusal: Refusal): Promise<void>;
}

export const createRequestRecorder = (
  batches: ResultRecorder,
  live: Pick<LiveRequests, 'check' | 'record'>,
  liveUsage: Pick<UsageCounter, 'add' | 'addWaste'>,
): RequestRecorder => ({
  check: (request) => (request.live ? live.check(request) : batches.check(request)),
  async record(request, end, { fallbackModel, tier, charge }) {
    if (request.live) {
      const outcome = await live.record(request, end, fallbackModel);
      if (charge && outcome === 'recorded') liveUsage.add(charge, end.usage);
      return outcome;
    }
    const { fallbackFrom } = request;
    const fallback =
      fallbackFrom === undefined || fallbackModel === undefined ? undefined : { model: fallbackModel, fallbackFrom };
    const nanoUsd = charge ? charge.nanoUsd : end.answerNanoUsd;
    const { status, line } = toResult(request, end.outcome, { tier, fallback, nanoUsd });
    return batches.record(request, status, line, end.usage, charge);
  },
  async noteWaste({ batchId, live: liveCall }, charge) {
    if (liveCall) liveUsage.addWaste(charge);
    else await batches.noteWaste(batchId, charge);
  },
  noteRetry: async ({ batchId, live: liveCall }) => {
    if (!liveCall) await batches.noteRetry(batchId);
  },
  // The caller of a live call gets the provider's answer itself.
  noteRefusal: async ({ batchId, live: liveCall }, refusal) => {
    if (!liveCall) await batches.noteRefusal(batchId, refusal);
  },
});
