import { buildLanes, buildProviders, fileConfig, noUsage, type RequestJob } from '@promptmill/core';
import type { CallRequest, CallResult } from '@promptmill/provider';
import type { Job } from 'bullmq';
import { expect, it } from 'vitest';
import type { Admission } from './lane/admission.ts';
import { createProcessRequest, type ProcessRequestOptions } from './process-request.ts';

const lanes = buildLanes(buildProviders(fileConfig.parse({}), { XAI_API_KEY: 'key-of-xai' }));
const data: RequestJob = {
  batchId: 'batch_1',
  index: 7,
  customId: 'a',
  url: '/v1/chat/completions',
  body: { model: 'grok-4', messages: [] },
  bytes: 10,
};
const success: CallResult = { kind: 'success', statusCode: 200, requestId: 'req_1', body: {}, usage: noUsage };

/** Runs one request whose calls may go out, in turn, as `mayGo` says. */
const processOne = async (mayGo: readonly boolean[]) => {
  const told: string[] = [];
  let admissions = 0;
  const admit = (): Admission => {
    const goesOut = mayGo[admissions++] ?? false;
    return {
      send: () => goesOut,
      leave: ({ signal }) => Promise.resolve(void told.push(signal)),
    };
  };
  const lane = lanes.route('xai/grok-4')?.lane;
  if (!lane) throw new Error('no lane');
  const options = {
    lane,
    client: {
      call: ({ maySend }: CallRequest) => Promise.resolve(maySend?.() === false ? { kind: 'unsent' } : success),
    },
    recorder: {
      begin: () => Promise.resolve('run'),
      record: (_: RequestJob, status: string) => Promise.resolve(void told.push(status)),
    },
    gate: { enter: () => Promise.resolve(admit()) },
    estimator: () => undefined,
    findFallback: () => undefined,
    insist: (work: () => Promise<unknown>) => work(),
    inHand: new Set(),
    owned: new Map(),
    reach: (point: string) => told.push(point),
    onCall: ({ kind }: CallResult) => told.push(kind),
  } as unknown as ProcessRequestOptions;
  const job = { data, attemptsMade: 0, stalledCounter: 0 } as Job<RequestJob>;
  await createProcessRequest(options).processRequest(job, 'token', undefined);
  return { told, inHand: options.inHand };
};

it('a call that comes too late is let in anew, and counts as none', async () => {
  const { told, inHand } = await processOne([false, false, true]);
  expect(told).toEqual(['unsent', 'unsent', 'answered', 'success', 'ok', 'completed', 'recorded']);
  expect(inHand.size).toBe(0);
});
