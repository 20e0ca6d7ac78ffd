import { type BatchObject, newBatchId, newFileId, noCost, noUsage, toBatchObject } from '@promptmill/core';
import { describe, expect, it } from 'vitest';
import { percentOf, progressBar, progressText } from './progress-line.ts';

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
    [batchOf('in_progress', 840, 3), 49, '42 % · 843/2,000 done · 3 failed · 49/s · 24 s left'],
    [batchOf('in_progress', 0), 0, '0 % · 0/2,000 done · waiting for answers'],
    [batchOf('finalizing', 2000), 8.25, '99 % · 2,000/2,000 done · finalizing'],
  ])('shows the share done, the counts, the rate and what comes next', (batch, perSecond, text) => {
    expect(progressText({ batch, perSecond })).toBe(text);
  });
});

it('shows which lane a batch waits for, and why', () => {
  const batch = batchOf('in_progress', 840);
  const waitingFor = [{ lane: 'xai', reason: 'insufficient_quota', message: null, held_until: 0 }];
  const held = { ...batch, promptmill: { ...batch.promptmill, waiting_for: waitingFor } };
  expect(progressText({ batch: held, perSecond: 0 })).toBe(
    '42 % · 840/2,000 done · waiting for xai: insufficient_quota',
  );
});

it('shows that a batch is paused, even when its lane is held', () => {
  const batch = batchOf('in_progress', 840);
  const waitingFor = [{ lane: 'xai', reason: 'insufficient_quota', message: null, held_until: 0 }];
  const paused = { ...batch, promptmill: { ...batch.promptmill, waiting_for: waitingFor, paused_at: 1 } };
  expect(progressText({ batch: paused, perSecond: 0 })).toBe('42 % · 840/2,000 done · paused');
});

it('shows that the money is used up', () => {
  const batch = batchOf('in_progress', 840);
  const waitingFor = [{ lane: 'cost_limit', reason: 'It has spent 5 USD.', message: null, held_until: null }];
  const held = { ...batch, promptmill: { ...batch.promptmill, waiting_for: waitingFor, paused_at: 1 } };
  expect(progressText({ batch: held, perSecond: 0 })).toBe('42 % · 840/2,000 done · waiting: It has spent 5 USD.');
});

it('shows why the results are not in the files yet', () => {
  const batch = batchOf('finalizing', 2000);
  const blocked = { code: 'no_space', message: 'The file store is full.' };
  expect(progressText({ batch: { ...batch, promptmill: { ...batch.promptmill, blocked } }, perSecond: 0 })).toBe(
    '99 % · 2,000/2,000 done · finalizing: The file store is full.',
  );
});

describe('progressBar', () => {
  it.each([20, 60, 70, 80, 120, 300])('fits into %d columns', (columns) => {
    expect(progressBar({ batch: batchOf('in_progress', 840, 3), perSecond: 49 }, columns).length).toBeLessThan(columns);
  });

  it('fills the share of the bar that is done', () => {
    expect(progressBar({ batch: batchOf('in_progress', 1000), perSecond: 0 }, 200)).toMatch(/^█{20}░{20} 50 %/);
  });
});
