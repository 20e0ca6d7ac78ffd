import { isSuccess, noUsage, type Outcome, type RequestJob, resultLine, type RetryPolicy } from '@promptmill/core';
import type { CallResult, ProviderClient } from '@promptmill/provider';
import type { ResultRecorder } from '@promptmill/queue';
import { DelayedError, type Job, UnrecoverableError } from 'bullmq';

export interface ProcessRequestOptions {
  readonly client: ProviderClient;
  readonly recorder: ResultRecorder;
  readonly retry: RetryPolicy;
  readonly onCall: (result: CallResult, durationMs: number) => void;
}

/** What a finished job returns: a reference. The result itself is on its batch's stream. */
export interface JobReference {
  readonly status: 'recorded' | 'duplicate' | 'closed' | 'settled' | 'dropped';
}

type Failure = Extract<CallResult, { kind: 'failure' }>;

const outcomeOf = ({ response, code, message }: Failure): Outcome =>
  response ? { kind: 'response', ...response } : { kind: 'error', code, message };

/** Whether another attempt may change the answer, and the request has one left. */
const mayRetry = (failure: Failure, job: Job<RequestJob>, retry: RetryPolicy): boolean =>
  failure.class === 'retry' && job.attemptsMade + 1 < retry.attempts;

/**
 * Answers one request: calls the provider unless the request is settled, and records the result before the job ends, so
 * that a crash in between repeats the recording's refusal and not the call.
 */
export const createProcessRequest = ({ client, recorder, retry, onCall }: ProcessRequestOptions) => {
  const record = (job: RequestJob, outcome: Outcome, usage = noUsage) =>
    recorder.record(
      job,
      isSuccess(outcome) ? 'completed' : 'failed',
      resultLine(job.batchId, job.index, job.customId, outcome),
      usage,
    );

  // BullMQ passes the signal only to a function that declares three parameters.
  const processRequest = async (
    job: Job<RequestJob>,
    token: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<JobReference> => {
    const request = job.data;
    const state = await recorder.begin(request);
    if (state !== 'run') return { status: state };
    const startedAt = performance.now();
    const result = await client.call({
      url: request.url,
      body: request.body,
      idempotencyKey: `${request.batchId}-${request.index}`,
      signal: signal ?? new AbortController().signal,
    });
    onCall(result, performance.now() - startedAt);

    if (result.kind === 'aborted') {
      // The process is stopping: another worker takes the request at once, and no attempt is used.
      await job.moveToDelayed(Date.now(), token);
      throw new DelayedError();
    }
    if (result.kind === 'success') {
      const { statusCode, requestId, body } = result;
      return { status: await record(request, { kind: 'response', statusCode, requestId, body }, result.usage) };
    }
    const reason = `${result.code}: ${result.message}`;
    if (mayRetry(result, job, retry)) throw new Error(reason);
    await record(request, outcomeOf(result));
    throw new UnrecoverableError(reason);
  };

  /** A job that BullMQ itself gave up, its workers having died with it, still leaves a result. */
  const recordLost = (request: RequestJob, reason: string) =>
    record(request, { kind: 'error', code: 'worker_lost', message: reason });

  return { processRequest, recordLost };
};
