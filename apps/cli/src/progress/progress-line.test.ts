import { type BatchObject, newBatchId, newFileId, noCost, noUsage, toBatchObject } from '@promptmill/core';
import { describe, expect, it } from 'vitest';
import { type ProgressState, percentOf, progressBar, progressText } from './progress-line.ts';

const batchOf = (status: BatchObject['status'], completed: number, failed = 0): BatchObject =>
  toBatchObject({
    id: newBatchId(),
    tenant: 'local',
    endpoint: '/v1/chat/completions',
    inputFileId: newFileId(),
    completionWindow: '24h',
    status,
    metadata: null,
    errors: [],
    outputFileId: newFileId(),
    errorFileId: newFileId(),
    outputPublished: false,
    errorPublished: false,
    createdAt: 0,
    expiresAt: 86_400,
    total: 2000,
    completed,
    failed,
    usage: noUsage,
    cost: noCost,
  });

const stateOf = (batch: BatchObject, perSecond = 0, tokensPerSecond = 0): ProgressState => ({
  batch,
  perSecond,
  tokensPerSecond,
});

const beyond = (batch: BatchObject, more: Partial<BatchObject['promptmill']>): BatchObject => ({
  ...batch,
  promptmill: { ...batch.promptmill, ...more },
});

const costing = (batch: BatchObject, spent: number | null, estimated: number | null): BatchObject =>
  beyond(batch, { cost: { ...batch.promptmill.cost, spent, estimated } });

describe('percentOf', () => {
  it('is 100 only once the batch is terminal', () => {
    expect(percentOf(batchOf('in_progress', 839))).toBe(41);
    expect(percentOf(batchOf('in_progress', 1990, 10))).toBe(99);
    expect(percentOf(batchOf('finalizing', 2000))).toBe(99);
    expect(percentOf(batchOf('completed', 1990, 10))).toBe(100);
    expect(percentOf(batchOf('cancelled', 10, 1990))).toBe(100);
  });
});

describe('progressText', () => {
  it.each([
    [stateOf(batchOf('in_progress', 840, 3), 49), '42 % · 843/2,000 done · 3 failed · 49/s · 24 s left'],
    [
      stateOf(costing(batchOf('in_progress', 840), 0.4234, 1.7), 49, 12_345),
      '42 % · 840/2,000 done · 49/s · 12,345 tokens/s · $0.42 of about $1.70 · 24 s left',
    ],
    [stateOf(costing(batchOf('in_progress', 840), null, null), 49), '42 % · 840/2,000 done · 49/s · 24 s left'],
    [stateOf(batchOf('in_progress', 0)), '0 % · 0/2,000 done · waiting for answers'],
    [stateOf(batchOf('finalizing', 2000), 8.25, 9), '99 % · 2,000/2,000 done · finalizing'],
  ])('shows the share done, the counts, the rates, the price and what comes next', (state, text) => {
    expect(progressText(state)).toBe(text);
  });
});

const waitingFor = [
  { lane: 'xai', reason: 'insufficient_quota', message: 'You exceeded your\nquota. '.repeat(20), held_until: 0 },
];

it('shows which lane a batch waits for, and why', () => {
  const held = beyond(batchOf('in_progress', 840), {
    waiting_for: waitingFor.map((lane) => ({ ...lane, message: null })),
  });
  expect(progressText(stateOf(held))).toBe('42 % · 840/2,000 done · waiting for xai: insufficient_quota');
});

it('shows that a batch is paused, even when its lane is held', () => {
  const paused = beyond(batchOf('in_progress', 840), { waiting_for: waitingFor, paused_at: 1 });
  expect(progressText(stateOf(paused))).toBe('42 % · 840/2,000 done · paused');
});

it('shows that the money is used up', () => {
  const reached = [{ lane: 'cost_limit', reason: 'It has spent 5 USD.', message: null, held_until: null }];
  const held = beyond(batchOf('in_progress', 840), { waiting_for: reached, paused_at: 1 });
  expect(progressText(stateOf(held))).toBe('42 % · 840/2,000 done · waiting for money: It has spent 5 USD.');
});

it('shows why the results are not in the files yet', () => {
  const blocked = beyond(batchOf('finalizing', 2000), {
    blocked: { code: 'no_space', message: 'The file store is full.' },
  });
  expect(progressText(stateOf(blocked))).toBe('99 % · 2,000/2,000 done · finalizing: The file store is full.');
});

describe('progressBar', () => {
  const running = stateOf(costing(batchOf('in_progress', 840, 3), 0.4234, 1.7), 49, 12_345);
  const held = stateOf(beyond(costing(batchOf('in_progress', 840, 3), 0.4234, 1.7), { waiting_for: waitingFor }));

  it.each([
    [60, running, '█████░░░░░░ 42 % · 843/2,000 · 3 failed · $0.42 · 24 s left'],
    [80, running, '████████░░░░░░░░░░░ 42 % · 843/2,000 done · 3 failed · 49/s · $0.42 · 24 s left'],
    [
      200,
      running,
      '█████████████████░░░░░░░░░░░░░░░░░░░░░░░ 42 % · 843/2,000 done · 3 failed · 49/s · 12,345 tokens/s · ' +
        '$0.42 of about $1.70 · 24 s left',
    ],
    [60, held, '███░░░░░ 42 % · 843/2K · 3 failed · $0.42 · waiting for xai'],
    [80, held, '████████░░░░░░░░░░░░ 42 % · 843/2,000 done · 3 failed · $0.42 · waiting for xai'],
    [
      200,
      held,
      '█████████████████░░░░░░░░░░░░░░░░░░░░░░░ 42 % · 843/2,000 done · 3 failed · $0.42 of about $1.70 · waiting for xai',
    ],
  ])('leaves out what there is no room for, in %d columns', (columns, state, text) => {
    expect(progressBar(state, columns)).toBe(text);
  });

  it.each([1, 20, 40, 60, 70, 80, 120, 200, 300])('fits into %d columns', (columns) => {
    for (const state of [running, held]) expect(progressBar(state, columns).length).toBeLessThan(columns);
  });

  it('shows a batch of millions in 60 columns', () => {
    const large = costing(batchOf('in_progress', 2_100_843, 31_003), 1042.4, 2442);
    const state = stateOf({ ...large, request_counts: { ...large.request_counts, total: 5_000_000 } }, 449, 123_450);
    expect(progressBar(state, 60)).toBe('42 % · 2.1M/5M · 31K failed · $1,042.40 · 1 h 46 min left');
  });

  it('fills the share of the bar that is done', () => {
    expect(progressBar(stateOf(batchOf('in_progress', 1000)), 200)).toMatch(/^█{20}░{20} 50 %/);
  });
});
