import { type Refusal, type RequestJob, toResult } from '@promptmill/core';
import type { RecordOutcome, RequestState, ResultRecorder } from '@promptmill/queue';
import type { RecordedEnd } from './decide.ts';
import type { LiveRequests } from './live-requests.ts';

/** Checks requests before a call, and records their results: those of batches, and live calls. */
export interface RequestRecorder {
  check(request: RequestJob): Promise<RequestState>;
  /** @param fallbackModel the model that answered in place of the one that the request names */
  record(request: RequestJob, end: RecordedEnd, fallbackModel: string | undefined): Promise<RecordOutcome>;
  /** Notes how a provider refused a request, for its owner to read. */
  noteRefusal(request: RequestJob, refusal: Refusal): Promise<void>;
}

export const createRequestRecorder = (
  batches: ResultRecorder,
  live: Pick<LiveRequests, 'check' | 'record'>,
): RequestRecorder => ({
  check: (request) => (request.live ? live.check(request) : batches.check(request)),
  record(request, end, fallbackModel) {
    if (request.live) return live.record(request, end, fallbackModel);
    const { fallbackFrom } = request;
    const note =
      fallbackFrom === undefined || fallbackModel === undefined ? undefined : { model: fallbackModel, fallbackFrom };
    const { status, line } = toResult(request, end.outcome, note);
    return batches.record(request, status, line, end.usage);
  },
  // The caller of a live call gets the provider's answer itself.
  noteRefusal: async ({ batchId, live: liveCall }, refusal) => {
    if (!liveCall) await batches.noteRefusal(batchId, refusal);
  },
});
