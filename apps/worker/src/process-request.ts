import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CallUsage,
  isSuccess,
  jobIdOf,
  type Lane,
  modelName,
  noUsage,
  type RequestJob,
  type RetryPolicy,
  type TierNote,
} from '@promptmill/core';
import type { JobLock } from '@promptmill/queue';
import type { Metrics } from '@promptmill/runtime';
import { DelayedError, type Job, UnrecoverableError } from 'bullmq';
import type { ChargeCalls } from './charge-calls.ts';
import type { CostGate, CostRefusal, CostShare } from './cost/cost-gate.ts';
import {
  decide,
  type Ending,
  endingOfState,
  keepAnswer,
  lacksCapacity,
  mayCall,
  outcomeOf,
  type RecordedEnd,
} from './decide.ts';
import type { FindFallback } from './lane/fallback.ts';
import type { LineUp } from './lane/line-up.ts';
import type { LaneGate } from './lane/lane-gate.ts';
import type { LiveRequests } from './live-requests.ts';
import { createMakeCall, type MakeCallOptions } from './make-call.ts';
import { type Quarantine, suspectAfter } from './quarantine.ts';
import { refusalsOf } from './refusals.ts';
import type { RequestRun } from './wanted-request.ts';

export interface ProcessRequestOptions extends MakeCallOptions {
  readonly gate: Pick<LaneGate, 'admit' | 'hasOther'>;
  /** 0 when the lane can afford another retry; else how long to wait before asking again, in milliseconds. */
  readonly takeRetry: () => Promise<number>;
  readonly findFallback: FindFallback;
  readonly lineUp: LineUp;
  readonly charges: ChargeCalls;
  /** Whether a batch wants calls now. */
  readonly isRunning: (batchId: string) => Promise<boolean>;
  readonly costGate: Pick<CostGate, 'open'>;
  readonly retry: RetryPolicy;
  readonly quarantine: Quarantine;
  readonly live: LiveRequests;
  /** Fires when calls under way must be given up, since the process ends. */
  readonly giveUp: AbortSignal;
  readonly metrics: Pick<Metrics, 'calls' | 'callDuration' | 'fallbacks'>;
}

/** What a finished job returns. The result itself is on the results stream. */
export interface JobReference {
  /** `moved`: another lane, or another worker, has it now. `parked`: it gets a new job when its paused batch goes on. */
  readonly status: 'recorded' | 'duplicate' | 'sealed' | 'settled' | 'dropped' | 'moved' | 'parked';
}

/**
 * In a paused batch, a request that has used attempts keeps its job, which counts them, and so does one with an answer
 * that did not match its schema. It is checked again after this time.
 */
const pausedAgainMs = 5000;

const killedItsWorkers = {
  kind: 'error',
  code: 'worker_lost',
  message: 'Each worker that ran this request was lost.',
} as const;

/** When the quarantine is taken, a request asks for it again after this time, or up to twice as much. */
const quarantineWaitMs = 1000;

/** After a refusal for lack of capacity a request waits up to this time, and after each further one up to twice as long. */
const firstFlexWaitMs = 250;
const longestFlexWaitMs = 4000;

/** Resolves after some time, or at once when the signal fires. */
const delay = (ms: number, signal: AbortSignal): Promise<void> => sleep(ms, undefined, { signal }).catch(() => {});

/** Retries beyond the lane's budget come back spread over this time. */
const retrySpreadMs = 4000;

/** How the job ends of a request for which there is no money. A batch is held, and a live call fails. */
const endingOfRefusal = ({ kind, message }: CostRefusal, { live }: RequestJob): Ending => {
  if (kind === 'limit' && !live) return { kind: 'park' };
  const code = kind === 'limit' ? 'cost_limit' : 'price_unknown';
  return { kind: 'record', outcome: { kind: 'error', code, message }, usage: noUsage, failure: message, mayPass: true };
};

/** Which tier answered a request that began in flex: the answer says so, else its lane does. */
const tierNoteOf = (
  { tier }: Lane,
  { tierFrom }: RequestJob,
  answered: string | undefined = tier,
): TierNote | undefined =>
  tier || tierFrom ? { tier: answered === 'flex' ? 'flex' : 'standard', tierFrom } : undefined;

const hasKilledItsWorkers = ({ stalledCounter, data }: Job<RequestJob>): boolean =>
  stalledCounter > suspectAfter && (data.begun ?? 0) >= suspectAfter;

/**
 * Answers one request: asks whether it is still wanted, waits until its lane lets it in, calls the provider, and carries
 * out what {@link decide} makes of the result. The result is recorded before the job ends: after a crash in between, the
 * next worker finds it and makes no call.
 */
export const createProcessRequest = (options: ProcessRequestOptions) => {
  const {
    lane,
    gate,
    tenantGate,
    takeRetry,
    findFallback,
    lineUp,
    charges,
    costGate,
    answers,
    recorder,
    isRunning,
    retry,
  } = options;
  const { untilRedisTakes, unrecorded, quarantine, live, giveUp, metrics, passFailPoint } = options;
  const makeCall = createMakeCall(options);

  const record = async (request: RequestJob, recordedEnd: RecordedEnd, cost?: CostShare) => {
    const outcome = keepAnswer(recordedEnd.outcome, request.mismatch);
    const answerNanoUsd = outcome === recordedEnd.outcome ? recordedEnd.answerNanoUsd : request.mismatch?.nanoUsd;
    const end = { ...recordedEnd, outcome, answerNanoUsd };
    const fallbackModel = request.fallbackFrom === undefined ? undefined : modelName(lane, request);
    const tier = isSuccess(end.outcome) ? tierNoteOf(lane, request, end.serviceTier) : undefined;
    const found = isSuccess(end.outcome) ? await charges.chargeFor(request, end.usage, end.serviceTier) : undefined;
    const charge = found && { ...found, isFlex: tier?.tier === 'flex' };
    const recorded = await untilRedisTakes(() => recorder.record(request, end, { fallbackModel, tier, charge }));
    if (charge) charges.count(recorded, end.usage, charge);
    if (charge) cost?.note(charge.nanoUsd);
    passFailPoint('recorded');
    return recorded;
  };

  /** Resolves with what the call cost, in billionths of a dollar; undefined when that is unknown. */
  const waste = async (request: RequestJob, usage: CallUsage, cost: CostShare): Promise<number | undefined> => {
    const { nanoUsd } = await charges.waste(request, usage);
    cost.note(nanoUsd);
    return nanoUsd;
  };

  /** How many attempts may follow this one. */
  const attemptsLeft = ({ attemptsMade, data }: Job<RequestJob>): number => {
    if (data.live) return Date.now() < data.live.deadlineMs ? Infinity : 0;
    return retry.attempts - attemptsMade - 1;
  };

  /**
   * Checks a request before it waits for its lane, and reserves what it is expected to cost where that is limited. Returns
   * how the job ends without a call, or undefined when it may be called.
   */
  const check = async (job: Job<RequestJob>, cost: CostShare): Promise<Ending | undefined> => {
    const isFresh = live.isFresh(job);
    const state = isFresh ? 'run' : await untilRedisTakes(() => recorder.check(job.data));
    if (!mayCall(state)) return endingOfState(state);
    const ending = isFresh ? undefined : await checkRuns(job);
    if (ending) return ending;
    const refusal = await cost.reserve(state === 'capped');
    return refusal && endingOfRefusal(refusal, job.data);
  };

  /** Looks at what earlier runs of the job came to. */
  const checkRuns = async (job: Job<RequestJob>): Promise<Ending | undefined> => {
    if (hasKilledItsWorkers(job))
      return { kind: 'record', outcome: killedItsWorkers, usage: noUsage, failure: killedItsWorkers.message };
    const fault = job.data.checkSchema ? await answers.findSchemaFault(job.data) : undefined;
    if (fault !== undefined) {
      const outcome = { kind: 'error', code: 'invalid_schema', message: fault } as const;
      return { kind: 'record', outcome, usage: noUsage, failure: fault };
    }
    if (job.attemptsMade === 0) return undefined;
    const waitMs = await untilRedisTakes(takeRetry);
    return waitMs > 0 ? { kind: 'put back', delayMs: waitMs + Math.random() * retrySpreadMs } : undefined;
  };

  /** Checks a request, waits for its lane and calls the provider, until it is known how the job ends. */
  const answer = async (job: Job<RequestJob>, run: RequestRun, cost: CostShare): Promise<Ending> => {
    const request = job.data;
    if (tenantGate.isFull(request)) return { kind: 'wait for tenant' };
    const ending = await check(job, cost);
    if (ending) return ending;
    let noCapacity = 0;
    for (let calls = 0; ; calls++) {
      const called = await makeCall(job, run, calls === 0);
      if ('ending' in called) return called.ending;
      const { result, callMs, hold, upstream } = called;
      if (result.kind === 'failure') run.avoid.add(upstream);
      const isWaste = result.kind === 'failure' && result.usage;
      const answerNanoUsd = isWaste ? await waste(request, isWaste, cost) : undefined;
      const next = decide(result, {
        refusals: refusalsOf(request, result, hold),
        probeIntervalMs: lane.provider.probeIntervalMs,
        attemptsLeft: attemptsLeft(job),
        hasFallback: run.fallback !== undefined,
        isLate: run.fallback !== undefined && !run.signal.aborted,
        lane,
        hasOtherUpstream: gate.hasOther(run.avoid),
        isAskedAgain: job.data.mismatch !== undefined,
        live: run.live && { isWanted: run.live.isWanted(), hasBegun: run.live.hasBegun() },
      });
      if (next.kind === 'record') return { ...next, callMs, answerNanoUsd };
      // Its caller has hung up.
      if (result.kind === 'success') await waste(request, result.usage, cost);
      if (run.live && result.kind === 'failure') await live.tellFailedAttempt(request, outcomeOf(result));
      if (next.kind === 'ask again') {
        if (!(await untilRedisTakes(() => isRunning(request.batchId)))) return { ...next.instead, answerNanoUsd };
        const mismatch = { ...next.mismatch, nanoUsd: answerNanoUsd };
        // A worker that takes over goes on with the second call.
        await untilRedisTakes(() => job.updateData({ ...job.data, mismatch }));
        unrecorded.delete(run.lock);
        const refusal = await cost.reserveAgain();
        if (refusal) return endingOfRefusal(refusal, job.data);
        continue;
      }
      if (next.kind !== 'call again') return next;
      if (result.kind !== 'failure' || !lacksCapacity(lane, result)) continue;
      await delay(Math.random() * Math.min(longestFlexWaitMs, firstFlexWaitMs * 2 ** noCapacity++), run.signal);
      // Its batch may be paused or stopped by now.
      const state = await untilRedisTakes(() => recorder.check(job.data));
      if (!mayCall(state) && state !== 'held') return endingOfState(state);
    }
  };

  /**
   * Ends the job. To BullMQ an error is a failed attempt, and DelayedError is a job that has gone back to its queue.
   */
  const carryOut = async (
    job: Job<RequestJob>,
    { lock, avoid }: RequestRun,
    ending: Ending,
    cost: CostShare,
  ): Promise<JobReference> => {
    const putBack = async (delayMs: number): Promise<never> => {
      await untilRedisTakes(() => job.moveToDelayed(Date.now() + delayMs, job.token));
      throw new DelayedError();
    };
    switch (ending.kind) {
      case 'record': {
        const status = await record(job.data, ending, cost);
        unrecorded.delete(lock);
        if (ending.failure !== undefined) throw new UnrecoverableError(ending.failure);
        return { status };
      }
      case 'retry':
        await untilRedisTakes(() => recorder.noteRetry(job.data));
        if (lane.deployments.length > 1)
          await untilRedisTakes(() => job.updateData({ ...job.data, avoid: [...avoid] }));
        throw new Error(ending.reason);
      case 'fall back':
        // Its job may have changed since it began.
        await untilRedisTakes(async () => findFallback(job.data, lane)?.add());
        passFailPoint('fallback-added');
        await live.noteFallback(job.data);
        metrics.fallbacks.inc({ lane: lane.name });
        return { status: 'moved' };
      case 'put back': {
        const { delayMs, refusals } = ending;
        if (refusals) await untilRedisTakes(() => job.updateData({ ...job.data, refusals }));
        if (refusals || ending.givesWay) await untilRedisTakes(() => lineUp(job));
        return putBack(delayMs);
      }
      case 'wait for tenant':
        await untilRedisTakes(() => job.moveToDelayed(Date.now() + tenantGate.delayMs(job.data), job.token));
        tenantGate.note(job.data, { lane: lane.name, jobId: jobIdOf(job.data.batchId, job.data.index) });
        throw new DelayedError();
      case 'park':
        return job.attemptsMade === 0 && !job.data.mismatch ? { status: 'parked' } : putBack(pausedAgainMs);
      default:
        return { status: ending.status };
    }
  };

  const processRequest = async (job: Job<RequestJob>, lock: JobLock, lendPlace: () => void): Promise<JobReference> => {
    const fallback = findFallback(job.data, lane);
    const liveRun = job.data.live && live.begin(job.data);
    const cost = costGate.open(job.data, lane);
    const run: RequestRun = {
      lock,
      fallback,
      live: liveRun,
      signal: liveRun?.signal ?? giveUp,
      lendPlace,
      avoid: new Set(job.data.avoid),
    };
    try {
      const ending =
        job.stalledCounter < suspectAfter
          ? await answer(job, run, cost)
          : await quarantine.run(() => answer(job, run, cost));
      if (liveRun?.isWanted() === false) {
        // Nobody waits for its answer, if it has one.
        unrecorded.delete(lock);
        return { status: 'dropped' };
      }
      const delayMs = quarantineWaitMs * (1 + Math.random());
      return await carryOut(job, run, ending === 'taken' ? { kind: 'put back', delayMs } : ending, cost);
    } finally {
      liveRun?.end();
      await cost.end();
    }
  };

  return {
    processRequest,
    /** Records a result for a job that failed for an unforeseen reason. */
    recordFailed: (request: RequestJob, message: string) =>
      record(request, { outcome: { kind: 'error', code: 'internal_error', message }, usage: noUsage }),
  };
};
