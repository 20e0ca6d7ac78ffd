import { describe, expect, it } from 'vitest';
import { classOf, codeOfAnswer, messageOfAnswer } from './classify-answer.ts';

describe('an answer that is not 2xx', () => {
  it.each([
    [302, 'unexpected_redirect', 'final'],
    [400, 'bad_request', 'final'],
    [401, 'authentication_failed', 'provider'],
    [402, 'payment_required', 'provider'],
    [403, 'permission_denied', 'provider'],
    [404, 'not_found', 'final'],
    [408, 'provider_timeout', 'retry'],
    [409, 'conflict', 'retry'],
    [413, 'request_too_large', 'final'],
    [418, 'request_refused', 'final'],
    [422, 'unprocessable_request', 'final'],
    [429, 'rate_limited', 'retry'],
    [498, 'rate_limited', 'retry'],
    [500, 'provider_error', 'retry'],
    [502, 'provider_error', 'retry'],
    [503, 'provider_overloaded', 'retry'],
    [529, 'provider_overloaded', 'retry'],
  ] as const)('%i is %s: %s', (status, code, failureClass) => {
    expect(codeOfAnswer(status, undefined)).toBe(code);
    expect(classOf(code)).toBe(failureClass);
  });

  it.each([
    [429, { error: { code: 'insufficient_quota' } }],
    [429, { error: { type: 'insufficient_quota', code: null } }],
    [403, { error: { code: 'credit_balance_exhausted' } }],
    [400, { error: { code: 'billing_hard_limit_reached' } }],
    [429, { code: 'insufficient_quota', error: 'No credits left.' }],
  ])('a %i with %j says that the money ran out', (status, body) => {
    expect(codeOfAnswer(status, body)).toBe('insufficient_quota');
    expect(classOf('insufficient_quota')).toBe('provider');
  });

  it('takes a 500 that speaks of quota as a 500', () => {
    expect(codeOfAnswer(500, { error: { code: 'insufficient_quota' } })).toBe('provider_error');
  });
});

describe('the message of an error body', () => {
  it.each([
    [{ error: { message: 'in OpenAI’s shape' } }, 'in OpenAI’s shape'],
    [{ error: 'as a string', code: 'x' }, 'as a string'],
    [[{ error: { message: 'in an array, as Gemini has it' } }], 'in an array, as Gemini has it'],
    [{ message: 'beside' }, 'beside'],
    [{ detail: 'as FastAPI has it' }, 'as FastAPI has it'],
    ['plain text', 'plain text'],
    ['', undefined],
    [null, undefined],
    [[], undefined],
    [{ error: { message: 7 } }, undefined],
  ])('%j → %s', (body, message) => expect(messageOfAnswer(body)).toBe(message));
});
