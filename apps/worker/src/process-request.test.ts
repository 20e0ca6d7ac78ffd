import type { JobLock } from '@promptmill/queue';
import { DelayedError } from 'bullmq';
import { expect, it } from 'vitest';
import { createProcessRequest, type ProcessRequestOptions } from './process-request.ts';

it('an answer that came as its caller hung up is not one that waits to be recorded', async () => {
  let isWanted = true;
  let wasted = 0;
  const spent: number[] = [];
  const unrecorded = new Set<JobLock>();
  const { signal } = new AbortController();
  const count = { inc: () => {}, observe: () => {}, labels: () => count };
  const { processRequest } = createProcessRequest({
    lane: { name: 'lane', provider: { probeIntervalMs: 1000 }, limits: {} },
    targetOf: () => ({
      client: {
        async call() {
          isWanted = false;
          return { kind: 'success', statusCode: 200, requestId: '', json: '{}', usage: {}, headers: {} };
        },
      },
    }),
    gate: { admit: async () => ({ send: () => true, reportEnd: async () => undefined }), hasOther: () => false },
    tenantGate: { isFull: () => false, isInUse: () => false },
    findFallback: () => undefined,
    estimator: () => undefined,
    recorder: { check: async () => 'run' },
    retry: { attempts: 1, baseDelayMs: 1, maxDelayMs: 1 },
    live: {
      begin: () => ({ signal, isWanted: () => isWanted, hasBegun: () => false, end: () => {} }),
      isFresh: () => true,
    },
    untilRedisTakes: (work: () => Promise<unknown>) => work(),
    unrecorded,
    giveUp: signal,
    metrics: { calls: count, callDuration: count },
    passFailPoint: () => {},
    charges: {
      async waste() {
        wasted++;
        return { nanoUsd: 7 };
      },
    },
    costGate: {
      open: () => ({ reserve: () => undefined, note: (nanoUsd: number) => spent.push(nanoUsd), end: () => undefined }),
    },
  } as unknown as ProcessRequestOptions);
  const data = { batchId: 'live_1', index: 0, url: '/v1/chat/completions', body: {}, live: { isKept: false } };
  const job = { data, attemptsMade: 0, stalledCounter: 0 };
  const ended = await processRequest(job as never, { isHeld: true }, () => {});
  expect(ended).toEqual({ status: 'dropped' });
  expect(unrecorded.size).toBe(0);
  // It was paid for all the same.
  expect(wasted).toBe(1);
  expect(spent).toEqual([7]);
});

it('a request that gives its place to others lines up again before it goes back', async () => {
  const { signal } = new AbortController();
  const steps: string[] = [];
  const { processRequest } = createProcessRequest({
    lane: { name: 'lane', provider: { probeIntervalMs: 1000 }, limits: {} },
    gate: { admit: async () => 'later' },
    tenantGate: { isFull: () => false, isInUse: () => false },
    findFallback: () => undefined,
    lineUp: async () => void steps.push('line up'),
    estimator: () => undefined,
    recorder: { check: async () => 'run' },
    retry: { attempts: 1, baseDelayMs: 1, maxDelayMs: 1 },
    live: { isFresh: () => false },
    untilRedisTakes: (work: () => Promise<unknown>) => work(),
    unrecorded: new Set<JobLock>(),
    giveUp: signal,
    metrics: { calls: { labels: () => ({}) }, callDuration: { labels: () => ({}) } },
    passFailPoint: () => {},
    costGate: { open: () => ({ reserve: () => undefined, end: () => undefined }) },
  } as unknown as ProcessRequestOptions);
  const data = { batchId: 'batch_1', index: 0, tenant: 'acme', url: '/v1/chat/completions', body: {} };
  const moveToDelayed = async () => void steps.push('go back');
  const job = { data, attemptsMade: 0, stalledCounter: 0, moveToDelayed };
  await expect(processRequest(job as never, { isHeld: true }, () => {})).rejects.toThrow(DelayedError);
  expect(steps).toEqual(['line up', 'go back']);
});
