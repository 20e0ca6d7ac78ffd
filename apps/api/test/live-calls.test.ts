import { createTenants, type RequestJob } from '@promptmill/core';
import {
  closeRedis,
  connectRedis,
  createKeys,
  createLaneTurns,
  createLiveSender,
  openLaneQueues,
} from '@promptmill/queue';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { deleteKeys } from '../../../tests/support/redis-keys.ts';
import { createLiveCalls } from '../src/live/live-calls.ts';

const prefix = `test-live-calls-${process.pid}`;
const keys = createKeys(prefix);
const onError = (): void => {};
const connect = () => connectRedis({ url: inject('redisUrl'), whileAway: 'wait', onError });

let redis: ReturnType<typeof connect>;
let queues: ReturnType<typeof openLaneQueues>;
let live: ReturnType<typeof createLiveCalls>;

beforeAll(() => {
  redis = connect();
  queues = openLaneQueues(redis, keys, onError);
  live = createLiveCalls({
    api: 'one',
    redis,
    blocking: connect(),
    keys,
    queueOf: queues.of,
    turns: createLaneTurns(redis, keys),
    tenants: createTenants({ default: {} }),
    shareOf: () => 0.9,
    laneOf: (model) => model.split('/')[0],
    retry: { attempts: 3, baseDelayMs: 10, maxDelayMs: 10 },
    onError,
    lookForLostEveryMs: 50,
  });
});
afterAll(async () => {
  await live.close();
  await queues.close();
  await deleteKeys(redis, prefix);
  await closeRedis(redis);
});

const jobOf = (id: string): RequestJob => ({
  batchId: `live_${id}`,
  index: 0,
  customId: id,
  url: '/v1/chat/completions',
  body: { model: 'm', messages: [] },
  bytes: 0,
  tenant: 'local',
  live: { api: 'one', deadlineMs: Date.now() + 60_000, isKept: false },
  fallback: { models: ['second/m'], deadlineNearMs: Date.now() + 60_000 },
});

const begin = async (id: string) => {
  const job = jobOf(id);
  let answers = 0;
  await live.begin({
    lane: 'first',
    job,
    onNews() {
      answers++;
      live.end(job.batchId);
    },
  });
  return { job, jobId: `${job.batchId}-0`, answers: () => answers };
};

const isIn = async (lane: string, jobId: string): Promise<boolean> =>
  (await redis.exists(keys.laneJob(lane, jobId))) === 1;

it('a call whose job Redis has lost is added again', async () => {
  const { job, jobId } = await begin('lost');
  await queues.of('first').remove(jobId);
  await expect.poll(() => isIn('first', jobId), { interval: 10 }).toBe(true);
  live.giveUp(job.batchId);
  await expect.poll(() => isIn('first', jobId), { interval: 10 }).toBe(false);
});

it('a call that has gone to the lane of its fallback, or that has its answer, is not', async () => {
  const gone = await begin('gone');
  await queues.of('second').add('request', gone.job, { jobId: gone.jobId });
  await queues.of('first').remove(gone.jobId);
  const answered = await begin('answered');
  const sender = createLiveSender(redis, keys);
  const answer = { kind: 'error', code: 'a', message: 'b' } as const;
  await sender.send(answered.job, { kind: 'end', callId: answered.job.batchId, answer });
  await queues.of('first').remove(answered.jobId);
  // A third one shows that lost calls were looked for meanwhile.
  const third = await begin('third');
  await queues.of('first').remove(third.jobId);
  await expect.poll(() => isIn('first', third.jobId), { interval: 10 }).toBe(true);
  expect(await isIn('first', gone.jobId)).toBe(false);
  expect(await isIn('first', answered.jobId)).toBe(false);
  expect(answered.answers()).toBe(1);
  for (const { job } of [gone, third]) live.giveUp(job.batchId);
});

it('a call that is given up while its job is being added does not stay in its lane', async () => {
  const job = jobOf('early');
  const begun = live.begin({ lane: 'first', job, onNews() {} });
  live.giveUp(job.batchId);
  await begun;
  await expect.poll(() => isIn('first', `${job.batchId}-0`), { interval: 10 }).toBe(false);
});
