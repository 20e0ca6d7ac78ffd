import { expect, test } from 'vitest';
import { type Batch, noCost, toBatchObject } from './batch.ts';
import { noUsage } from './usage.ts';

const created: Batch = {
  id: 'batch_1',
  tenant: 'acme',
  endpoint: '/v1/chat/completions',
  inputFileId: 'file-in',
  completionWindow: '24h',
  status: 'validating',
  metadata: null,
  errors: [],
  outputFileId: 'file-out',
  errorFileId: 'file-err',
  outputPublished: false,
  errorPublished: false,
  outputExpiresAfterSeconds: 3600,
  createdAt: 1000,
  expiresAt: 87_400,
  total: 0,
  completed: 0,
  failed: 0,
  usage: noUsage,
  cost: noCost,
};

/** Source: https://platform.openai.com/docs/api-reference/batch/object */
const createdObject = {
  id: 'batch_1',
  object: 'batch',
  endpoint: '/v1/chat/completions',
  model: null,
  errors: null,
  input_file_id: 'file-in',
  completion_window: '24h',
  status: 'validating',
  output_file_id: null,
  error_file_id: null,
  created_at: 1000,
  in_progress_at: null,
  expires_at: 87_400,
  finalizing_at: null,
  completed_at: null,
  failed_at: null,
  expired_at: null,
  cancelling_at: null,
  cancelled_at: null,
  request_counts: { total: 0, completed: 0, failed: 0 },
  usage: {
    input_tokens: 0,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 0,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 0,
  },
  metadata: null,
  promptmill: {
    in_lanes: 0,
    retries: 0,
    requests_per_second: null,
    eta_seconds: null,
    waiting_for: [],
    blocked: null,
    cost: { currency: 'USD', estimated: null, spent: 0, wasted: 0, saved_by_cache: 0 },
    max_cost: null,
    webhook_url: null,
    paused_at: null,
    check_schema: false,
    dedupe: false,
    cache: null,
    tier: null,
    tiers: null,
    copied: 0,
    strategy: 'auto',
    batch_api: null,
    retry_of: null,
    retried_by: [],
  },
};

test('a new batch shows all of OpenAI’s fields, and ours apart; what has not happened is null', () => {
  expect(toBatchObject(created)).toStrictEqual(createdObject);
});

test('each time that a batch has reached is shown under a name of its own', () => {
  const batch: Batch = {
    ...created,
    model: 'xai/grok-4',
    status: 'completed',
    metadata: { run: '7' },
    outputPublished: true,
    errorPublished: true,
    inProgressAt: 1001,
    finalizingAt: 1002,
    completedAt: 1003,
    failedAt: 1004,
    expiredAt: 1005,
    cancellingAt: 1006,
    cancelledAt: 1007,
    total: 5,
    completed: 3,
    failed: 2,
    usage: { inputTokens: 9, cachedTokens: 4, outputTokens: 7, reasoningTokens: 5 },
  };
  expect(toBatchObject(batch)).toStrictEqual({
    ...createdObject,
    model: 'xai/grok-4',
    status: 'completed',
    metadata: { run: '7' },
    output_file_id: 'file-out',
    error_file_id: 'file-err',
    in_progress_at: 1001,
    finalizing_at: 1002,
    completed_at: 1003,
    failed_at: 1004,
    expired_at: 1005,
    cancelling_at: 1006,
    cancelled_at: 1007,
    request_counts: { total: 5, completed: 3, failed: 2 },
    usage: {
      input_tokens: 9,
      input_tokens_details: { cached_tokens: 4 },
      output_tokens: 7,
      output_tokens_details: { reasoning_tokens: 5 },
      total_tokens: 16,
    },
  });
});

test('errors are a list object', () => {
  const error = { code: 'invalid_json_line', message: 'Not JSON.', param: null, line: 3 };
  expect(toBatchObject({ ...created, errors: [error] }).errors).toEqual({ object: 'list', data: [error] });
});

test('a running batch shows its rate, when it will end and the lanes it waits for; a terminal one shows none of them', () => {
  const waitingFor = [{ lane: 'xai', reason: 'rate_limited (429)', heldUntilMs: 5_500 }];
  const running: Batch = {
    ...created,
    status: 'in_progress',
    total: 100,
    completed: 20,
    inLanes: 30,
    requestsPerSecond: 4,
    waitingFor,
    blocked: { code: 'no_space', message: 'The file store is full.' },
  };
  expect(toBatchObject(running).promptmill).toEqual({
    in_lanes: 30,
    retries: 0,
    requests_per_second: 4,
    eta_seconds: 20,
    paused_at: null,
    waiting_for: [{ lane: 'xai', reason: 'rate_limited (429)', message: null, held_until: 6 }],
    blocked: { code: 'no_space', message: 'The file store is full.' },
    cost: { currency: 'USD', estimated: 0, spent: 0, wasted: 0, saved_by_cache: 0 },
    check_schema: false,
    dedupe: false,
    cache: null,
    tier: null,
    tiers: null,
    copied: 0,
    strategy: 'auto',
    batch_api: null,
    max_cost: null,
    webhook_url: null,
    retry_of: null,
    retried_by: [],
  });
  expect(toBatchObject({ ...running, status: 'completed' }).promptmill).toEqual(createdObject.promptmill);
});

test.each([
  ['its own request was refused with the lane’s reason', 'xai', 'permission_denied (403)', 'the words'],
  ['the lane is held for another reason', 'xai', 'rate_limited (429)', null],
  ['its request was refused in another lane', 'openai', 'permission_denied (403)', null],
])('a batch shows the provider’s words only when %s', (_, lane, reason, message) => {
  const batch: Batch = {
    ...created,
    status: 'in_progress',
    waitingFor: [{ lane: 'xai', reason: 'permission_denied (403)', heldUntilMs: 1 }],
    lastRefusal: { lane, reason, message: 'the words' },
  };
  expect(toBatchObject(batch).promptmill.waiting_for).toMatchObject([{ message }]);
});

test('a batch that can be paused shows its pause, and then no time at which it will end', () => {
  const paused: Batch = { ...created, status: 'in_progress', total: 9, requestsPerSecond: 1, pausedAt: 1010 };
  expect(toBatchObject(paused).promptmill).toMatchObject({ paused_at: 1010, eta_seconds: null });
  expect(toBatchObject({ ...paused, status: 'cancelling' }).promptmill.paused_at).toBeNull();
});

test('a batch that has reached its max_cost is paused, and waits for that alone', () => {
  const reached = { at: 1010, reason: 'It is spent.' };
  const held: Batch = {
    ...created,
    status: 'in_progress',
    maxCostNanoUsd: 2_500_000_000,
    requestsPerSecond: 9,
    waitingFor: [{ lane: 'xai', reason: 'rate_limited (429)', heldUntilMs: 1 }],
    costHold: { limit: 'max_cost', reached },
  };
  expect(toBatchObject(held).promptmill).toMatchObject({
    requests_per_second: 0,
    eta_seconds: null,
    max_cost: 2.5,
    paused_at: 1010,
    waiting_for: [{ lane: 'cost_limit', reason: 'It is spent.', message: null, held_until: null }],
  });
  const ofTenant = { ...held, costHold: { limit: 'usdPerDay', reached: { ...reached, untilMs: 86_400_000 } } } as const;
  expect(toBatchObject(ofTenant).promptmill).toMatchObject({ paused_at: null, waiting_for: [{ held_until: 86_400 }] });
  // Its calls in flight may leave money for others.
  const settling: Batch = { ...held, costHold: { limit: 'max_cost' } };
  expect(toBatchObject(settling).promptmill).toMatchObject({ paused_at: null, waiting_for: [{ lane: 'xai' }] });
});

test('a batch and its retries name each other, also once they are terminal', () => {
  const ended: Batch = { ...created, status: 'completed', retryOf: 'batch_0', retriedBy: ['batch_2', 'batch_3'] };
  expect(toBatchObject(ended).promptmill).toMatchObject({ retry_of: 'batch_0', retried_by: ['batch_2', 'batch_3'] });
});

test.each<[what: string, batch: Partial<Batch>, shown: object]>([
  ['its answers so far tell what the rest will cost', {}, { estimated: 0.008, spent: 0.002, wasted: 0 }],
  ['requests that failed cost nothing', { failed: 2 }, { estimated: 0.006, spent: 0.002 }],
  ['at its end nothing is left to estimate', { status: 'cancelled' }, { estimated: null, spent: 0.002 }],
  [
    'a result of unknown cost makes the sum unknown',
    { cost: { ...noCost, spentNanoUsd: 9, unpriced: 1 } },
    { estimated: null, spent: null, wasted: 0 },
  ],
  [
    'copies cost nothing, and are not in what the rest will cost',
    { copies: { made: 1, expected: 4, savedNanoUsd: 3_000_000, unpriced: 0 } },
    { estimated: 0.008, spent: 0.002, saved_by_cache: 0.003 },
  ],
  [
    'a copy of unknown cost makes what is saved unknown',
    { copies: { made: 2, expected: 2, savedNanoUsd: 3_000_000, unpriced: 1 } },
    { estimated: null, spent: 0.002, saved_by_cache: null },
  ],
  [
    'waste of unknown cost too',
    { cost: { ...noCost, wastedNanoUsd: 9, unpricedWaste: 1 } },
    { spent: 0, wasted: null },
  ],
])('the cost of a batch: %s', (_what, more, shown) => {
  const cost = { ...noCost, spentNanoUsd: 2_000_000 };
  const batch: Batch = { ...created, status: 'in_progress', total: 8, completed: 2, cost, ...more };
  expect(toBatchObject(batch).promptmill.cost).toMatchObject({ currency: 'USD', ...shown });
});

test('a batch of flex shows what each tier has answered; copies are of none, and an unknown price makes both unknown', () => {
  const batch: Batch = {
    ...created,
    tier: 'flex',
    completed: 10,
    cost: { ...noCost, spentNanoUsd: 9e9 },
    copies: { made: 2, expected: 2, savedNanoUsd: 0, unpriced: 0 },
    flex: { answers: 5, nanoUsd: 4e9 },
  };
  expect(toBatchObject(batch).promptmill).toMatchObject({
    tier: 'flex',
    tiers: { flex: { answers: 5, spent: 4 }, standard: { answers: 3, spent: 5 } },
  });
  const { tiers } = toBatchObject({ ...batch, cost: { ...batch.cost, unpriced: 1 } }).promptmill;
  expect(tiers).toEqual({ flex: { answers: 5, spent: null }, standard: { answers: 3, spent: null } });
  const { flex: _flex, ...none } = batch;
  expect(toBatchObject({ ...none, tier: 'standard' }).promptmill.tiers).toBeNull();
});
