import type { BatchObject } from '@promptmill/core';
import { describe, expect, it } from 'vitest';
import { describeWait } from './describe-wait.ts';

const now = 1_000_000;

const batchWith = (extension: object, more: object = {}): BatchObject =>
  ({
    status: 'in_progress',
    in_progress_at: now - 60,
    request_counts: { total: 10, completed: 1, failed: 0 },
    ...more,
    promptmill: { blocked: null, paused_at: null, waiting_for: [], ...extension },
  }) as unknown as BatchObject;

const held = (lane: string, reason: string, seconds: number | null = 12) => ({
  waiting_for: [{ lane, reason, message: null, held_until: seconds === null ? null : now + seconds }],
});

describe('why a batch waits', () => {
  it.each([
    [held('xai', 'rate_limited (429)'), 'xai has to be called less often (429). It is tried again in 12 s.', false],
    [held('xai', 'connection_error', -1), 'xai cannot be reached. It is tried again now.', false],
    [
      held('xai', 'authentication_failed (401)', null),
      'xai refuses the API key (401). It goes on when someone acts.',
      true,
    ],
    [held('xai', 'XAI_API_KEY is not set'), 'xai waits: XAI_API_KEY is not set. It is tried again in 12 s.', false],
    [
      held('tenant_limit', 'You have reached your limit callsAtOnce: 2.'),
      'You have reached your limit callsAtOnce: 2. It is tried again in 12 s.',
      false,
    ],
    [
      { ...held('cost_limit', 'The batch has spent $1 of its max_cost of $1 USD.', null), paused_at: now },
      'The batch has spent $1 of its max_cost of $1 USD. Raise the limit to go on.',
      true,
    ],
    [
      { blocked: { code: 'no_collector', message: 'No collector takes the results.' } },
      'No collector takes the results.',
      true,
    ],
    [{ paused_at: now - 5 }, 'Paused. Resume it to go on.', true],
  ])('%o', (extension, text, wantsAction) => {
    expect(describeWait(batchWith(extension), now)).toEqual({ text, wantsAction });
  });

  it('is unknown where no answer has come for a while', () => {
    const none = { request_counts: { total: 10, completed: 0, failed: 0 } };
    expect(describeWait(batchWith({}, none), now)?.text).toContain('No answer yet');
    expect(describeWait(batchWith({}, { ...none, in_progress_at: now - 2 }), now)).toBeUndefined();
  });

  it('is nothing while it goes on', () => {
    expect(describeWait(batchWith({}), now)).toBeUndefined();
  });
});
