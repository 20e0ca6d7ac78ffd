import { buildLanes, buildProviders, fileConfig, type Lane, type RequestJob } from '@promptmill/core';
import type { LaneUser, toLaneJob } from '@promptmill/queue';
import type { Queue } from 'bullmq';
import { beforeEach, expect, it } from 'vitest';
import { createFindFallback, type FindFallback } from './fallback.ts';

const lanes = buildLanes(
  buildProviders(fileConfig.parse({}), {
    XAI_API_KEY: 'key-of-xai',
    IZZI_API_KEY: 'key-of-izzi',
    OLLAMA_BASE_URL: 'http://ollama:11434/v1',
  }),
);
const laneOf = (model: string): Lane => {
  const lane = lanes.route(model)?.lane;
  if (!lane) throw new Error(`no lane for ${model}`);
  return lane;
};

const request: RequestJob = {
  tenant: 'acme',
  batchId: 'batch_1',
  index: 7,
  customId: 'a',
  url: '/v1/chat/completions',
  body: { model: 'grok-4', messages: [] },
  bytes: 10,
  fallback: {
    models: ['openai/gpt-4.1', 'izzi/claude-sonnet-4', 'ollama/qwen3'],
    deadlineNearMs: 1000,
  },
};

interface Added {
  readonly lane: string;
  readonly data: RequestJob;
  readonly jobId: string | undefined;
  readonly priority: number | undefined;
}

let added: Added[];
let users: LaneUser[];
let now: number;
let findFallback: FindFallback;

beforeEach(() => {
  added = [];
  users = [];
  now = 0;
  findFallback = createFindFallback({
    lanes,
    queueOf: (lane) =>
      ({
        name: lane,
        addBulk: async (jobs: ReturnType<typeof toLaneJob>[]) =>
          void added.push(...jobs.map(({ data, opts: { jobId, priority } }) => ({ lane, data, jobId, priority }))),
      }) as unknown as Queue<RequestJob>,
    turns: {
      takeOne: (_, { tenant, batchId }, share) => Promise.resolve(10 * users.push({ tenant, batchId, ...share })),
    },
    weightOf: () => 2,
    retry: { attempts: 3, baseDelayMs: 1, maxDelayMs: 1 },
    now: () => now,
  });
});

it('adds a request to the lane of the first fallback that has its key, under the same job id', async () => {
  await findFallback(request, laneOf('xai/grok-4'))?.add();
  expect(added).toMatchObject([
    {
      lane: 'izzi',
      jobId: 'batch_1-7',
      data: {
        ...request,
        body: { model: 'claude-sonnet-4', messages: [] },
        fallbackFrom: 'xai/grok-4',
        fallback: { models: ['ollama/qwen3'], deadlineNearMs: 1000 },
      },
    },
  ]);
});

it('remembers the first model to the end of the chain, where there is no fallback', async () => {
  await findFallback(request, laneOf('xai/grok-4'))?.add();
  const second = added[0]?.data ?? request;
  await findFallback(second, laneOf('izzi/claude-sonnet-4'))?.add();
  const third = added[1]?.data ?? request;
  expect(third).toMatchObject({ body: { model: 'qwen3' }, fallbackFrom: 'xai/grok-4' });
  expect(findFallback(third, laneOf('ollama/qwen3'))).toBeUndefined();
});

it('is better than a closed lane, and than any lane when the deadline is near', () => {
  const fallback = findFallback(request, laneOf('xai/grok-4'));
  expect([fallback?.isBetter(1), fallback?.isBetter(0)]).toEqual([true, false]);
  now = 1000;
  expect(fallback?.isBetter(0)).toBe(true);
});

it("lines requests up in their tenant's line of the lane they come to", async () => {
  for (let i = 0; i < 2; i++) await findFallback(request, laneOf('xai/grok-4'))?.add();
  expect(added.map(({ priority }) => priority)).toEqual([3, 4]);
  expect(users[1]).toEqual({ tenant: 'acme', weight: 2, batchId: 'batch_1', isNew: true });
});
