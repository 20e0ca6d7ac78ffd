import type { Lane, RequestJob } from '@promptmill/core';
import type { CallResult } from '@promptmill/provider';
import { expect, it } from 'vitest';
import { attemptSpan } from './attempt-span.ts';

const usage = { inputTokens: 7, cachedTokens: 0, outputTokens: 2, reasoningTokens: 0 };
const answered = (answer: object): CallResult => ({
  kind: 'success',
  statusCode: 200,
  requestId: 'req_1',
  json: JSON.stringify(answer),
  usage,
  headers: {},
});
const lane = { name: 'xai', provider: { name: 'xai', baseUrl: 'https://api.x.ai/v1' } } as Lane;
const spanOf = (result: CallResult, request: Partial<RequestJob> = {}) => {
  const job: RequestJob = {
    tenant: 'acme',
    batchId: 'batch_1',
    index: 4,
    customId: 'SECRET-id',
    url: '/v1/chat/completions',
    body: { model: 'grok-4.3', max_tokens: 9, messages: [{ role: 'user', content: 'SECRET' }], user: 'SECRET' },
    bytes: 1,
    ...request,
  };
  return attemptSpan(lane, job, result, 1000, 1500);
};

it('describes an answer by the conventions for generative AI, without content', () => {
  const answer = {
    id: 'c1',
    model: 'grok-4.3-fast',
    choices: [{ message: { content: 'SECRET' }, finish_reason: 'stop' }, { finish_reason: 'length' }],
  };
  const span = spanOf(answered(answer));
  expect(span).toEqual({
    name: 'chat grok-4.3',
    kind: 'client',
    startedAtMs: 1000,
    endedAtMs: 1500,
    error: undefined,
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'x_ai',
      'gen_ai.request.model': 'grok-4.3',
      'gen_ai.request.max_tokens': 9,
      'gen_ai.response.id': 'c1',
      'gen_ai.response.model': 'grok-4.3-fast',
      'gen_ai.response.finish_reasons': ['stop', 'length'],
      'gen_ai.usage.input_tokens': 7,
      'gen_ai.usage.output_tokens': 2,
      'http.response.status_code': 200,
      'server.address': 'api.x.ai',
      'server.port': 443,
      'promptmill.lane': 'xai',
      'promptmill.tenant': 'acme',
      'promptmill.batch.id': 'batch_1',
      'promptmill.request.index': 4,
    },
  });
  expect(JSON.stringify(span)).not.toContain('SECRET');
});

it('a failure has its code and status, and not what the provider said', () => {
  const span = spanOf({
    kind: 'failure',
    class: 'final',
    code: 'bad_request',
    message: 'SECRET is no prompt',
    response: { statusCode: 400, requestId: '', body: { error: { message: 'SECRET' } } },
  });
  expect(span).toMatchObject({ error: 'bad_request', attributes: { 'http.response.status_code': 400 } });
  expect(JSON.stringify(span)).not.toContain('SECRET');
});

it('knows a response that was cut off, an answer that is not JSON, and a call that was given up', () => {
  const cut = { id: 'r1', status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } };
  expect(spanOf(answered(cut), { url: '/v1/responses' }).attributes['gen_ai.response.finish_reasons']).toEqual([
    'max_output_tokens',
  ]);
  const torn = { kind: 'failure', class: 'mismatch', code: 'schema_mismatch', message: '' } as const;
  expect(spanOf({ ...torn, answer: { statusCode: 200, requestId: '', json: '<html>' } })).toMatchObject({
    error: 'schema_mismatch',
    attributes: { 'http.response.status_code': 200 },
  });
  expect(spanOf({ kind: 'aborted' }).error).toBe('aborted');
});
