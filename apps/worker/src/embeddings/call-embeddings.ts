import { hash } from 'node:crypto';
import type { CallResult, EmbedResult, TokenEstimator } from '@promptmill/provider';
import type { JobLock } from '@promptmill/queue';
import type { PassFailPoint } from '@promptmill/runtime';
import type { CallTarget } from '../call-target.ts';
import type { Admission } from '../lane/admission.ts';
import { type ReportCall, totalTokens } from '../report-call.ts';
import type { CallEnd } from '../wanted-request.ts';
import type { GroupedRequest } from './embedding-groups.ts';

export interface CallEmbeddingsOptions {
  readonly targetOf: (upstream: string) => CallTarget;
  /** Undefined while the lane does not limit tokens. */
  readonly estimator: () => TokenEstimator | undefined;
  readonly report: ReportCall;
  /** Jobs whose call is under way, or has an answer that is not recorded. */
  readonly unrecorded: Set<JobLock>;
  readonly passFailPoint: PassFailPoint;
}

/** A group of other requests has another key: a provider that knows a key would give the answer of the first group again. */
const idempotencyKeyOf = (requests: readonly GroupedRequest[]): string => {
  const indexes = requests.map(({ request: { index } }) => index).join(',');
  return `${requests[0]?.request.batchId}-${hash('sha256', indexes, 'hex').slice(0, 32)}`;
};

/** The result of each request. What a failed call used is counted once. */
const resultsOf = (result: EmbedResult, count: number): CallResult[] => {
  if (result.kind === 'success') return [...result.answers];
  if (result.kind !== 'failure') return Array.from({ length: count }, () => result);
  const { usage: _, ...others } = result;
  return Array.from({ length: count }, (_each, i) => (i === 0 ? result : others));
};

/** Makes one call for several requests for embeddings of a batch, once the lane has admitted it. */
export const createCallEmbeddings = (options: CallEmbeddingsOptions) => {
  const { targetOf, estimator, report, unrecorded, passFailPoint } = options;

  return async (
    requests: readonly [GroupedRequest, ...GroupedRequest[]],
    admission: Admission,
  ): Promise<{ readonly ends: readonly CallEnd[]; readonly characters: number | undefined }> => {
    const [{ request: first, run }] = requests;
    const startedAtMs = Date.now();
    const startedAt = performance.now();
    for (const {
      run: { lock },
    } of requests)
      unrecorded.add(lock);
    const target = targetOf(admission.upstream);
    const result = await target.client.embed({
      body: target.model === undefined ? first.body : { ...first.body, model: target.model },
      inputs: requests.map(({ inputs }) => inputs),
      idempotencyKey: idempotencyKeyOf(requests),
      signal: run.signal,
      maySend: () => requests.every(({ share }) => share?.send() ?? true) && admission.send(),
    });
    const callMs = performance.now() - startedAt;
    const endedAtMs = Date.now();
    const results = resultsOf(result, requests.length);
    const [firstResult] = results as [CallResult];
    if (result.kind !== 'success')
      for (const {
        run: { lock },
      } of requests)
        unrecorded.delete(lock);
    if (result.kind === 'success' || result.kind === 'failure') passFailPoint('answered');
    let usedTokens = 0;
    for (const [i, { request }] of requests.entries()) {
      const own = results[i] as CallResult;
      if (own.kind === 'success') estimator()?.learn(request.body, own.usage);
      usedTokens += totalTokens(own) ?? 0;
      report.trace(target, request, own, startedAtMs, endedAtMs);
    }
    report.count(target, firstResult, callMs);
    const hold = await report.tellLane(
      first,
      admission,
      firstResult,
      usedTokens || totalTokens(firstResult),
      requests.length,
    );
    const characters = result.kind === 'success' ? result.characters : undefined;
    return { ends: results.map((own) => ({ result: own, callMs, hold, upstream: admission.upstream })), characters };
  };
};
