import {
  type Batch,
  createTenants,
  type LaneTable,
  type RequestJob,
  schemaFields,
  tracedRequests,
} from '@promptmill/core';
import type { Queue } from 'bullmq';
import { expect, it } from 'vitest';
import { createAddRequests } from './add-requests.ts';
import type { InputRequest } from './read-requests.ts';

const lane = {
  name: 'xai',
  provider: { name: 'xai' },
  limits: {},
  tiers: ['standard'],
  fallback: ['openai/gpt', 'xai/old'],
};
const lanes = {
  lanes: [lane],
  route: (model: string) => ({
    lane: { ...lane, provider: { name: model.split('/')[0] } },
    model: model.split('/')[1],
  }),
} as unknown as LaneTable;

const batch = { id: 'batch_1', tenant: 'acme', createdAt: 0, expiresAt: 86_400 } as Batch;
const requestFor = (index: number, model: string): InputRequest => ({
  index,
  request: { customId: `c${index}`, url: '/v1/chat/completions', body: { model } },
  bytes: 10,
  nextOffset: 10 * (index + 1),
  nextLine: index + 2,
});

const setUp = () => {
  const tenants = createTenants({});
  const added: RequestJob[] = [];
  const recorded: { index: number; status: string; line: string }[] = [];
  const queue = { addBulk: async (jobs: { data: RequestJob }[]) => void added.push(...jobs.map(({ data }) => data)) };
  const add = createAddRequests({
    lanes,
    queueOf: () => queue as unknown as Queue<RequestJob>,
    turns: {
      take: async (_, __, count) => ({
        positions: Array.from({ length: count }, (___, i) => i),
        batches: 1,
        isAhead: false,
      }),
    },
    tenants,
    retry: { attempts: 1, baseDelayMs: 0, maxDelayMs: 0 },
    recorder: {
      async record({ index }, status, line) {
        recorded.push({ index, status, line });
        return 'recorded';
      },
    },
  });
  return { tenants, added, recorded, add };
};

it('a request whose model its tenant may use no more gets an error, and no fallback that it may not use', async () => {
  const { tenants, added, recorded, add } = setUp();
  const requests = [requestFor(0, 'xai/grok'), requestFor(1, 'openai/gpt')];
  await add(batch, requests, {});
  expect(added.map(({ index, fallback }) => [index, fallback?.models.length])).toEqual([
    [0, 2],
    [1, 2],
  ]);
  tenants.replace({ acme: { models: ['xai'] } });
  added.length = 0;
  expect(await add(batch, requests, {})).toMatchObject({ positions: { xai: 0 } });
  expect(added.map(({ index, fallback }) => [index, fallback?.models])).toEqual([[0, ['xai/old']]]);
  expect(recorded).toMatchObject([{ index: 1, status: 'failed' }]);
  expect(JSON.parse(recorded[0]?.line ?? '')).toMatchObject({
    custom_id: 'c1',
    error: { code: 'model_not_allowed', message: 'You may not use the model `openai/gpt`.' },
  });
});

it('says which answers are to be checked: those of a batch that wants it, for requests with a schema', async () => {
  const { added, add } = setUp();
  const plain = requestFor(0, 'xai/grok');
  const { request } = plain;
  const body = { ...request.body, ...schemaFields(request.url, 'answer', { type: 'object' }) };
  const requests = [plain, { ...plain, index: 1, request: { ...request, body } }];
  await add({ ...batch, checkSchema: true }, requests, {});
  await add(batch, requests, {});
  expect(added.map(({ index, checkSchema }) => [index, checkSchema])).toEqual([
    [0, undefined],
    [1, true],
    [0, undefined],
    [1, undefined],
  ]);
});

it('tells the trace of a batch to the first of its requests, and to none of a batch that is not traced', async () => {
  const { added, add } = setUp();
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const requests = [0, tracedRequests - 1, tracedRequests].map((index) => requestFor(index, 'xai/grok'));
  await add({ ...batch, trace: { traceparent, startedAtMs: 0 } }, requests, {});
  await add(batch, requests.slice(0, 1), {});
  expect(added.map((job) => job.traceparent)).toEqual([traceparent, traceparent, undefined, undefined]);
});
