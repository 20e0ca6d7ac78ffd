import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createWaitingJobs, type WaitingJob } from './waiting-jobs.ts';

const failWith = (error: unknown): never => {
  throw error;
};
const job = (i: number): WaitingJob => ({ lane: 'xai', jobId: `batch-${i}`, isLive: false });
const liveJob = (i: number): WaitingJob => ({ lane: 'xai', jobId: `live-${i}`, isLive: true });

it('wakes the job that has waited longest, and passes over one that is not delayed any more', async () => {
  const woken: string[] = [];
  const promote = async ({ jobId }: WaitingJob) => {
    woken.push(jobId);
    return jobId !== 'batch-0';
  };
  const waiting = createWaitingJobs({ promote, onError: failWith });
  for (let i = 0; i < 4; i++) waiting.note(job(i));
  waiting.wake();
  waiting.wake();
  await nextTurn();
  expect(woken).toEqual(['batch-0', 'batch-1']);
  waiting.wakeAll();
  await nextTurn();
  expect(woken).toEqual(['batch-0', 'batch-1', 'batch-2', 'batch-3']);
  expect(waiting.count()).toBe(0);
});

it('wakes live calls first, and a batch request after each ninth', async () => {
  const woken: string[] = [];
  const promote = async ({ jobId }: WaitingJob) => {
    woken.push(jobId);
    return true;
  };
  const waiting = createWaitingJobs({ promote, onError: failWith });
  for (let i = 0; i < 3; i++) waiting.note(job(i));
  for (let i = 0; i < 20; i++) waiting.note(liveJob(i));
  for (let i = 0; i < 12; i++) {
    waiting.wake();
    await nextTurn();
  }
  expect(woken.indexOf('batch-0')).toBe(9);
  expect(woken.filter((jobId) => jobId.startsWith('live'))).toEqual(Array.from({ length: 11 }, (_, i) => `live-${i}`));
});

it('lets jobs come back by themselves the later the more wait: about twenty a second, within minutes', () => {
  const waiting = createWaitingJobs({ promote: async () => true, onError: failWith });
  const delays = () => Array.from({ length: 100 }, () => waiting.delayMs(false));
  expect(Math.min(...delays())).toBeGreaterThanOrEqual(2500);
  expect(Math.max(...delays())).toBeLessThan(7500);
  for (let i = 0; i < 4000; i++) waiting.note(job(i));
  expect(Math.min(...delays())).toBeGreaterThanOrEqual(100_000);
  for (let i = 0; i < 20_000; i++) waiting.note(job(i));
  expect(waiting.count()).toBe(10_000);
  expect(Math.max(...delays())).toBeLessThan(450_000);
});
