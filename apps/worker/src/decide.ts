import {
  isSuccess,
  noUsage,
  type CallUsage,
  type Lane,
  type MismatchedAnswer,
  type Outcome,
  type RequestRefusals,
} from '@promptmill/core';
import { type CallFailure, type CallResult, laneSignalOf } from '@promptmill/provider';
import type { RequestState } from '@promptmill/queue';
import { isOwnFault, refusalDelayMs } from './refusals.ts';

export interface RecordedEnd {
  readonly outcome: Outcome;
  readonly usage: CallUsage;
  /** The tier that the answer names. */
  readonly serviceTier?: string | undefined;
  /** What an answer cost that is in the result although it failed, in billionths of a dollar. Undefined when unknown. */
  readonly answerNanoUsd?: number | undefined;
  /** How long the call took, in milliseconds. Absent when none was made. */
  readonly callMs?: number;
  /** Whether it is a failure that a later call may not meet. Default: false. */
  readonly mayPass?: boolean;
}

/** How the job of a request ends. */
export type Ending =
  /** The request has its result. With `failure` Bull Board shows the job as failed. */
  | ({ readonly kind: 'record'; readonly failure?: string } & RecordedEnd)
  /** The attempt failed; another follows after the retry policy's delay. */
  | { readonly kind: 'retry'; readonly reason: string }
  /** The request gets a job in its fallback's lane. */
  | { readonly kind: 'fall back' }
  /** The job goes back into its lane; no attempt is used. With `refusals` it keeps their number. */
  | {
      readonly kind: 'put back';
      readonly delayMs: number;
      /** Set when it was refused. */
      readonly refusals?: RequestRefusals;
      /** Whether others are to have its turn. A request that was refused gives way too. */
      readonly givesWay?: boolean;
    }
  /** Its tenant may make no call now: the job goes back into its lane, and no attempt is used. */
  | { readonly kind: 'wait for tenant' }
  /** The batch is paused, or a limit of its cost holds it: the request waits until it goes on. */
  | { readonly kind: 'park' }
  /**
   * The job ends without a call: the request has its result (`settled`), its batch wants no more calls (`dropped`), or
   * another worker has it (`moved`).
   */
  | { readonly kind: 'skip'; readonly status: 'settled' | 'dropped' | 'moved' };

/** The states in which a request may be called. */
const callable = { run: true, capped: true } as const;
type Callable = keyof typeof callable;

export const mayCall = (state: RequestState): state is Callable => state in callable;

/** How a job ends whose request must not be called. */
export const endingOfState = (state: Exclude<RequestState, Callable>): Ending =>
  state === 'paused' || state === 'held' ? { kind: 'park' } : { kind: 'skip', status: state };

/** For the request's owner and the log. */
export const reasonOf = ({ code, message }: CallFailure): string => `${code}: ${message}`;

/** For everybody: the provider's own words may quote a request. */
export const publicReasonOf = ({ code, response }: CallFailure): string =>
  response ? `${code} (${response.statusCode})` : code;

/** Whether the provider refused the call without work on it. Such a call uses no attempt. */
export const isRefusal = (failure: CallFailure): boolean =>
  failure.class === 'provider' || laneSignalOf(failure.code) === 'throttled';

/**
 * Whether a flex tier refused the call for lack of capacity, which other customers of the provider take: fewer calls of ours
 * would not help. A refusal that says how long to wait is about a limit of ours. Such a call uses no attempt.
 */
export const lacksCapacity = ({ tier }: Pick<Lane, 'tier'>, { code, retryAfterMs }: CallFailure): boolean =>
  tier === 'flex' &&
  retryAfterMs === undefined &&
  (laneSignalOf(code) === 'throttled' || code === 'provider_overloaded');

/**
 * Whether the provider has no flex tier for this model.
 * Source: https://learn.microsoft.com/en-us/azure/foundry/openai/how-to/flex-processing
 */
const lacksTier = ({ tier }: Pick<Lane, 'tier'>, { response }: CallFailure): boolean =>
  tier === 'flex' && response?.statusCode === 400 && JSON.stringify(response.body).includes('service_tier');

/** What a request comes to when a failure is its result. */
export const outcomeOf = ({ response, answer, code, message, retryAfterMs }: CallFailure): Outcome => {
  if (answer) return { kind: 'response', ...answer, error: { code, message } };
  if (!response) return { kind: 'error', code, message };
  const { statusCode, requestId, body } = response;
  return { kind: 'response', statusCode, requestId, json: JSON.stringify(body), retryAfterMs };
};

const whatWentWrong = (outcome: Outcome): string =>
  outcome.kind === 'error' ? `${outcome.code}: ${outcome.message}` : `the provider answered ${outcome.statusCode}`;

/**
 * What a request comes to that fails after an answer that did not match its schema: that answer was paid for, and is the
 * better result.
 */
export const keepAnswer = (outcome: Outcome, mismatch: MismatchedAnswer | undefined): Outcome => {
  if (!mismatch || (outcome.kind === 'response' && (isSuccess(outcome) || outcome.error))) return outcome;
  const { statusCode, requestId, json, faults } = mismatch;
  const message =
    `The answer does not match its schema: ${faults.join('; ')}. It was asked for again, without success: ` +
    whatWentWrong(outcome);
  return { kind: 'response', statusCode, requestId, json, error: { code: 'schema_mismatch', message } };
};

/** A longer answer is not sent back to its model, in characters of its JSON: a job carries it in Redis. */
const maxSentBack = 64 * 1024;

/** The answer with which the provider is asked again. Undefined when this failure is the request's result. */
const answerToSendBack = ({ class: failureClass, answer, mismatch }: CallFailure): MismatchedAnswer | undefined =>
  failureClass === 'mismatch' && answer && mismatch && answer.json.length <= maxSentBack
    ? { ...answer, ...mismatch }
    : undefined;

interface LiveSituation {
  /** Whether somebody waits for the answer. */
  readonly isWanted: boolean;
  /** Whether that caller has got a part of the answer already, which another attempt could not take back. */
  readonly hasBegun: boolean;
}

export interface RequestSituation {
  /** Attempts that the retry policy allows after this one. */
  readonly attemptsLeft: number;
  readonly hasFallback: boolean;
  /** Whether a call that was aborted was given up for the fallback. */
  readonly isLate: boolean;
  readonly lane: Pick<Lane, 'tier'>;
  /** Whether a deployment at which it has not failed may take it. */
  readonly hasOtherUpstream: boolean;
  /** Refusals of this request, with this one. Undefined where the lane says nothing of them. */
  readonly refusals?: RequestRefusals | undefined;
  readonly probeIntervalMs: number;
  /** Whether this call told the model what was wrong with its first answer. */
  readonly isAskedAgain: boolean;
  /** Set for a live call. */
  readonly live?: LiveSituation | undefined;
}

/**
 * How a job goes on after a call. `call again`: the request waits for its lane again, since this call used no attempt.
 * `ask again`: so it does to tell the model what is wrong with its answer; `instead` is its result when its batch wants no
 * more calls.
 */
export const decide = (
  result: CallResult,
  {
    attemptsLeft,
    hasFallback,
    hasOtherUpstream,
    isLate,
    lane,
    refusals,
    probeIntervalMs,
    isAskedAgain,
    live,
  }: RequestSituation,
):
  | Ending
  | { readonly kind: 'call again' }
  | {
      readonly kind: 'ask again';
      readonly mismatch: MismatchedAnswer;
      readonly instead: Ending & { readonly kind: 'record' };
    } => {
  if (result.kind === 'unsent') return { kind: 'call again' };
  if (live && !live.isWanted) return { kind: 'skip', status: 'dropped' };
  if (result.kind === 'aborted' && isLate) return { kind: 'fall back' };
  // The process is stopping: another worker takes the request at once.
  if (result.kind === 'aborted') return { kind: 'put back', delayMs: 0 };
  if (result.kind === 'success') {
    const { statusCode, requestId, json, usage, serviceTier, headers } = result;
    const outcome = { kind: 'response', statusCode, requestId, json, headers } as const;
    return { kind: 'record', outcome, usage, ...(serviceTier === undefined ? {} : { serviceTier }) };
  }
  const fail = (): Ending & { readonly kind: 'record' } => ({
    kind: 'record',
    outcome: outcomeOf(result),
    usage: noUsage,
    failure: reasonOf(result),
    mayPass: result.class !== 'final',
  });
  const mismatch = isAskedAgain ? undefined : answerToSendBack(result);
  if (mismatch) return { kind: 'ask again', mismatch, instead: fail() };
  if (live?.hasBegun) return fail();
  if (result.class === 'provider' && hasOtherUpstream) return { kind: 'call again' };
  if (hasFallback && (result.class === 'provider' || lacksTier(lane, result))) return { kind: 'fall back' };
  // Somebody waits, who may act.
  if (live && result.class === 'provider') return fail();
  if (refusals && !isOwnFault(refusals))
    return { kind: 'put back', delayMs: refusalDelayMs(refusals, probeIntervalMs), refusals };
  if ((isRefusal(result) && !refusals) || lacksCapacity(lane, result)) return { kind: 'call again' };
  if (result.class === 'retry' && attemptsLeft > 0) return { kind: 'retry', reason: reasonOf(result) };
  return fail();
};
