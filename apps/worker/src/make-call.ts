import { bodyThatAsksAgain, jobIdOf, type Lane, type RequestBody, type RequestJob } from '@promptmill/core';
import type { AnswerCheck, CallResult, TokenEstimator } from '@promptmill/provider';
import type { DeltaPublisher, JobLock } from '@promptmill/queue';
import type { PassFailPoint } from '@promptmill/runtime';
import type { Job } from 'bullmq';
import type { CallTarget } from './call-target.ts';
import type { Ending } from './decide.ts';
import { createCallEmbeddings } from './embeddings/call-embeddings.ts';
import { createEmbeddingGroups, type EmbeddingGroupsOptions, type GroupEnd } from './embeddings/embedding-groups.ts';
import { type AdmitRequestsOptions, createAdmitRequests } from './lane/admit-requests.ts';
import type { Admission } from './lane/admission.ts';
import { createPromptStarts } from './prompt-starts.ts';
import { createReportCall, type ReportCallOptions, totalTokens } from './report-call.ts';
import type { RequestRecorder } from './request-recorder.ts';
import type { TenantGate, TenantShare } from './tenant/tenant-gate.ts';
import type { Called, CallEnd, RequestRun, WantedRequest } from './wanted-request.ts';

export interface MakeCallOptions
  extends ReportCallOptions, AdmitRequestsOptions, Pick<EmbeddingGroupsOptions, 'retry'> {
  readonly lane: Lane;
  /** Where calls to an upstream of the lane go. */
  readonly targetOf: (upstream: string) => CallTarget;
  readonly tenantGate: TenantGate;
  /** Undefined while the lane does not limit tokens. */
  readonly estimator: () => TokenEstimator | undefined;
  readonly answers: AnswerCheck;
  readonly recorder: RequestRecorder;
  readonly deltas: DeltaPublisher;
  /** Jobs whose call is under way, or has an answer that is not recorded. */
  readonly unrecorded: Set<JobLock>;
  readonly passFailPoint: PassFailPoint;
}

/** What is sent for a request: its body, and after an answer that did not match its schema what was wrong with it. */
const callOf = (
  { url, body: asked, mismatch, batchId, index }: RequestJob,
  { tier }: Lane,
  target: CallTarget,
): { readonly body: RequestBody; readonly idempotencyKey: string } => {
  // A provider refuses a key that comes again with another body, as it does when the request steps up.
  const jobId = `${jobIdOf(batchId, index)}${tier ? `-${tier}` : ''}`;
  const body = target.model === undefined ? asked : { ...asked, model: target.model };
  // A provider that knows the key of the first call would give its answer again.
  if (mismatch) return { body: bodyThatAsksAgain(url, body, mismatch), idempotencyKey: `${jobId}-again` };
  return { body, idempotencyKey: jobId };
};

/** A timer holds no longer time. No call lasts that long. */
const longestTimerMs = 2 ** 31 - 1;

/** The signal of a call, which also fires when its request must go to its fallback to be answered in time. */
const untilLate = ({ fallback }: RequestJob, signal: AbortSignal): AbortSignal => {
  const restMs = (fallback?.giveUpAtMs ?? Infinity) - Date.now();
  if (restMs > longestTimerMs) return signal;
  return AbortSignal.any([signal, AbortSignal.timeout(Math.max(0, restMs))]);
};

/**
 * Waits until a request's tenant and its lane let a call in, makes it, and tells both how it ended. Resolves with that,
 * or with how the job ends without a call. Requests for embeddings may share a call.
 */
export const createMakeCall = (options: MakeCallOptions) => {
  const { lane, targetOf, tenantGate, estimator, answers, deltas, retry } = options;
  const { untilRedisTakes, unrecorded, passFailPoint } = options;
  const admit = createAdmitRequests(options);
  const report = createReportCall(options);
  const callEmbeddings = createCallEmbeddings({ ...options, report });

  /** Gives back a tenant's permission for a call that has ended. Doing so again changes nothing. */
  const endShare = (share: TenantShare, result: CallResult): Promise<void> =>
    untilRedisTakes(() => share.end(result.kind === 'unsent' ? 'unsent' : totalTokens(result)));

  /** Makes one call. The call goes on when another worker takes the job meanwhile, since it is paid for. */
  const call = async ({ request, run, share }: WantedRequest, admission: Admission): Promise<CallEnd> => {
    const { lock, live, fallback, signal } = run;
    const startedAt = performance.now();
    const isStreamed = request.body['stream'] === true;
    const streamed = isStreamed && !live ? deltas.open(request) : undefined;
    const liveStream = isStreamed ? live?.openStream() : undefined;
    const target = targetOf(admission.upstream);
    const { body, idempotencyKey } = callOf(request, lane, target);
    unrecorded.add(lock);
    const result = await target.client.call({
      url: request.url,
      body,
      idempotencyKey,
      signal: fallback ? untilLate(request, signal) : signal,
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
    if (share) await endShare(share, result);
    const hold = await report.tellLane(request, admission, result);
    // The lane does not wait for the check.
    const checked = result.kind === 'success' && request.checkSchema ? await answers.check(request, result) : result;
    streamed?.end(checked.kind === 'success');
    report.count(target, checked, callMs);
    report.trace(target, request, checked, endedAtMs - callMs, endedAtMs);
    return { result: checked, callMs, hold, upstream: admission.upstream };
  };

  /** Counts the calls for a request that has lost a worker. */
  const noteBegun = async ({ job, request, isFirst }: WantedRequest): Promise<void> => {
    if (job.stalledCounter > 0 && isFirst)
      await untilRedisTakes(() => job.updateData({ ...request, begun: (request.begun ?? 0) + 1 }));
  };

  const callNow = async (wanted: WantedRequest): Promise<Called> => {
    const { admission, endings } = await admit([wanted]);
    const ending = endings.get(wanted);
    if (!admission || ending) return { ending: ending as Ending };
    await noteBegun(wanted);
    return call(wanted, admission);
  };

  const starts = lane.promptCache ? createPromptStarts() : undefined;
  const callAlone = (wanted: WantedRequest): Promise<Called> =>
    starts ? starts.call(wanted.request, wanted.run.signal, () => callNow(wanted)) : callNow(wanted);

  const groups = createEmbeddingGroups({
    lane,
    retry,
    async call(wanted): Promise<GroupEnd> {
      const { admission, requests, endings } = await admit(wanted);
      const [first, ...others] = requests;
      const endOf = new Map<WantedRequest, Called>([...endings].map(([each, ending]) => [each, { ending }]));
      let characters: number | undefined;
      if (admission && first) {
        await Promise.all(requests.map(noteBegun));
        const called =
          others.length === 0
            ? { ends: [await call(first, admission)], characters: undefined }
            : await callEmbeddings([first, ...others], admission);
        for (const [i, each] of requests.entries()) endOf.set(each, called.ends[i] as Called);
        characters = called.characters;
      }
      return { ends: wanted.map((each) => endOf.get(each) as Called), characters };
    },
  });

  return async (job: Job<RequestJob>, run: RequestRun, isFirst: boolean): Promise<Called> => {
    const request = job.data;
    const share = tenantGate.isInUse() ? await untilRedisTakes(() => tenantGate.enter(request)) : undefined;
    if (share === 'full') return { ending: { kind: 'wait for tenant' } };
    try {
      const estimatedTokens = estimator()?.estimate(request.body) ?? 0;
      const wanted = { job, request, run, share, estimatedTokens, isFirst, sinceMs: performance.now() };
      const called = await (groups.join(wanted) ?? callAlone(wanted));
      // It is kept until then, since a call for several may be made again for some of them.
      if (share && 'result' in called) await endShare(share, called.result);
      return called;
    } finally {
      // Where the call has ended, it has been given back already.
      if (share) await untilRedisTakes(() => share.end('unsent'));
    }
  };
};
