import { noUsage, type RequestRefusals } from '@promptmill/core';
import type { CallFailure, CallResult } from '@promptmill/provider';
import { expect, test } from 'vitest';
import { decide, keepAnswer, lacksCapacity } from './decide.ts';

const answer = { statusCode: 200, requestId: 'req_1', json: '{}', headers: {} };
const usage = { ...noUsage, inputTokens: 3 };
const failure = (failureClass: CallFailure['class'], code: CallFailure['code'], more = {}): CallFailure => ({
  kind: 'failure',
  class: failureClass,
  code,
  message: 'why',
  ...more,
});
const wrongAnswer = { statusCode: 200, requestId: 'req_1', json: '{}' };
const wrong = { text: 'Good!', faults: ['it is not JSON'] };
const notMatching = {
  kind: 'record',
  outcome: { kind: 'response', ...wrongAnswer, error: { code: 'schema_mismatch', message: 'why' } },
  usage: noUsage,
  failure: 'schema_mismatch: why',
  mayPass: true,
};
const refusal = { statusCode: 400, requestId: 'req_2', body: { error: 'no' } };

test.each<
  [
    string,
    CallResult,
    {
      attemptsLeft?: number;
      hasFallback?: boolean;
      hasOtherUpstream?: boolean;
      isAskedAgain?: boolean;
      refusals?: RequestRefusals;
    },
    object,
  ]
>([
  [
    'an answer is the result',
    { kind: 'success', ...answer, usage },
    {},
    { kind: 'record', outcome: { kind: 'response', ...answer }, usage },
  ],
  ['a call that did not go out is made again', { kind: 'unsent' }, {}, { kind: 'call again' }],
  ['a request whose call was given up goes back at once', { kind: 'aborted' }, {}, { kind: 'put back', delayMs: 0 }],
  [
    'a failure that may pass is tried again',
    failure('retry', 'provider_error'),
    { attemptsLeft: 1 },
    { kind: 'retry', reason: 'provider_error: why' },
  ],
  [
    'the last attempt’s failure is the result',
    failure('retry', 'provider_error'),
    {},
    {
      kind: 'record',
      outcome: { kind: 'error', code: 'provider_error', message: 'why' },
      usage: noUsage,
      failure: 'provider_error: why',
      mayPass: true,
    },
  ],
  [
    'what will never succeed is not tried again',
    failure('final', 'bad_request', { response: refusal }),
    { attemptsLeft: 5 },
    {
      kind: 'record',
      outcome: { kind: 'response', statusCode: 400, requestId: 'req_2', json: '{"error":"no"}' },
      usage: noUsage,
      failure: 'bad_request: why',
      mayPass: false,
    },
  ],
  [
    'an answer that does not match is asked for again, also without attempts left',
    failure('mismatch', 'schema_mismatch', { answer: wrongAnswer, mismatch: wrong }),
    {},
    { kind: 'ask again', mismatch: { ...wrongAnswer, ...wrong }, instead: notMatching },
  ],
  [
    'the second answer that does not match is the result',
    failure('mismatch', 'schema_mismatch', { answer: wrongAnswer, mismatch: wrong }),
    { isAskedAgain: true, attemptsLeft: 5 },
    notMatching,
  ],
  ['a 429 uses no attempt', failure('retry', 'rate_limited'), {}, { kind: 'call again' }],
  [
    'a 429 does not go to the fallback',
    failure('retry', 'rate_limited'),
    { hasFallback: true },
    { kind: 'call again' },
  ],
  [
    'a request waits for a provider that takes no call',
    failure('provider', 'payment_required'),
    {},
    { kind: 'call again' },
  ],
  [
    'a request goes from a provider that takes no call to its fallback',
    failure('provider', 'payment_required'),
    { hasFallback: true },
    { kind: 'fall back' },
  ],
  [
    'a refused request makes room for others',
    failure('provider', 'permission_denied'),
    { attemptsLeft: 5, refusals: { calls: 2, own: 2, lastAtMs: 1 } },
    { kind: 'put back', delayMs: 2000, refusals: { calls: 2, own: 2, lastAtMs: 1 } },
  ],
  [
    'a request that alone is refused again and again has the refusal as its result',
    failure('provider', 'permission_denied', { response: refusal }),
    { attemptsLeft: 5, refusals: { calls: 3, own: 3, lastAtMs: 1 } },
    {
      kind: 'record',
      outcome: { kind: 'response', statusCode: 400, requestId: 'req_2', json: '{"error":"no"}' },
      usage: noUsage,
      failure: 'permission_denied: why',
      mayPass: true,
    },
  ],
  [
    'a request that one deployment refuses is called at another rather than at a fallback',
    failure('provider', 'authentication_failed'),
    { attemptsLeft: 5, hasFallback: true, hasOtherUpstream: true, refusals: { calls: 3, own: 3, lastAtMs: 1 } },
    { kind: 'call again' },
  ],
])('%s', (_, result, { attemptsLeft = 0, hasFallback = false, hasOtherUpstream = false, ...more }, decision) => {
  const { isAskedAgain = false, refusals } = more;
  const situation = {
    attemptsLeft,
    hasFallback,
    hasOtherUpstream,
    isAskedAgain,
    refusals,
    isLate: false,
    lane: {},
    probeIntervalMs: 30_000,
  };
  expect(decide(result, situation)).toEqual(decision);
});

test('an answer that was paid for stays the result when the second call fails', () => {
  const first = { ...wrongAnswer, ...wrong };
  const kept = keepAnswer({ kind: 'error', code: 'request_timeout', message: 'None.' }, first);
  expect(kept).toMatchObject({ kind: 'response', ...wrongAnswer, error: { code: 'schema_mismatch' } });
  expect(JSON.stringify(kept)).toContain(
    'it is not JSON. It was asked for again, without success: request_timeout: None.',
  );
  const better = { kind: 'response', statusCode: 200, requestId: '', json: '[]' } as const;
  expect(keepAnswer(better, first)).toBe(better);
});

const flexSituation = {
  attemptsLeft: 5,
  hasFallback: true,
  hasOtherUpstream: false,
  isLate: false,
  isAskedAgain: false,
  probeIntervalMs: 1,
};
const ofFlex = { ...flexSituation, lane: { tier: 'flex' } } as const;

test('a request whose model has no flex tier goes to its fallback, from a flex lane alone', () => {
  const body = { error: { message: 'This model has no service_tier flex.', param: 'service_tier' } };
  const refused = failure('final', 'bad_request', { response: { statusCode: 400, requestId: '', body } });
  expect(decide(refused, ofFlex)).toEqual({ kind: 'fall back' });
  expect(decide(refused, { ...ofFlex, hasFallback: false })).toMatchObject({ kind: 'record' });
  expect(decide(refused, { ...ofFlex, lane: {} })).toMatchObject({ kind: 'record' });
  const other = failure('final', 'bad_request', {
    response: { statusCode: 400, requestId: '', body: { error: 'no' } },
  });
  expect(decide(other, ofFlex)).toMatchObject({ kind: 'record' });
});

test('a request whose call was given up for its fallback goes there', () => {
  expect(decide({ kind: 'aborted' }, { ...ofFlex, isLate: true })).toEqual({ kind: 'fall back' });
});

test('a flex tier lacks capacity where it refuses without a time to wait', () => {
  const refused = failure('retry', 'rate_limited');
  expect(lacksCapacity({ tier: 'flex' }, refused)).toBe(true);
  expect(lacksCapacity({ tier: 'flex' }, { ...refused, retryAfterMs: 1000 })).toBe(false);
  expect(lacksCapacity({}, refused)).toBe(false);
  const overloaded = failure('retry', 'provider_overloaded');
  expect(decide(overloaded, ofFlex)).toEqual({ kind: 'call again' });
  expect(decide(overloaded, { ...ofFlex, lane: {} })).toMatchObject({ kind: 'retry' });
  expect(decide(refused, ofFlex)).toEqual({ kind: 'call again' });
});
