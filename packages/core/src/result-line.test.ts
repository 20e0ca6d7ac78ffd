import { expect, test } from 'vitest';
import { isSuccess, type Outcome, resultLine, toResult } from './result-line.ts';

const request = { batchId: `batch_${'0'.repeat(32)}`, index: 0, customId: 'a' };
const response = (statusCode: number): Outcome => ({
  kind: 'response',
  statusCode,
  requestId: 'req_1',
  json: '{"choices": []}',
});
const error: Outcome = { kind: 'error', code: 'batch_expired', message: 'Too late.' };

test("an answer leaves a line of OpenAI's shape", () => {
  const line = resultLine({ ...request, index: 7, customId: 'a\n"b"' }, response(200));
  expect(line).not.toContain('\n');
  expect(JSON.parse(line)).toEqual({
    id: expect.stringMatching(/^batch_req_.+_7$/),
    custom_id: 'a\n"b"',
    response: { status_code: 200, request_id: 'req_1', body: { choices: [] } },
    error: null,
  });
});

test("a provider's refusal is a response, not an error", () => {
  expect(JSON.parse(resultLine(request, response(400)))).toMatchObject({
    response: { status_code: 400 },
    error: null,
  });
});

test('no answer leaves an error and no response', () => {
  expect(JSON.parse(resultLine(request, error))).toMatchObject({
    response: null,
    error: { code: 'batch_expired', message: 'Too late.' },
  });
});

test('the same result gives the same bytes; another request has another id', () => {
  const idOf = (index: number): unknown => JSON.parse(resultLine({ ...request, index }, error)).id;
  expect(resultLine(request, error)).toBe(resultLine(request, error));
  expect(idOf(1)).not.toBe(idOf(2));
});

test.each([
  [200, true],
  [299, true],
  [199, false],
  [300, false],
  [500, false],
])('a response with status %i goes to the output file: %s', (statusCode, success) => {
  expect(isSuccess(response(statusCode))).toBe(success);
});

test('an error goes to the error file', () => {
  expect(isSuccess(error)).toBe(false);
});

test('a line says which model answered in place of which', () => {
  const fallback = { model: 'openai/gpt-4.1', fallbackFrom: 'xai/grok-4' };
  const line = resultLine(request, response(200), { fallback });
  expect(JSON.parse(line)).toMatchObject({ promptmill: { model: 'openai/gpt-4.1', fallback_from: 'xai/grok-4' } });
  expect(resultLine(request, response(200))).not.toContain('promptmill');
});

test.each([
  [120_000, 0.00012],
  [1, 1e-9],
  [0, 0],
])('a line says what its answer cost: %i billionths of a dollar', (nanoUsd, usd) => {
  expect(JSON.parse(resultLine(request, response(200), { nanoUsd }))).toMatchObject({ promptmill: { cost_usd: usd } });
});

test('a line says nothing of a cost that is unknown', () => {
  const fallback = { model: 'openai/gpt-4.1', fallbackFrom: 'xai/grok-4' };
  expect(resultLine(request, response(200), { fallback, nanoUsd: undefined })).not.toContain('cost_usd');
  expect(JSON.parse(resultLine(request, response(200), { fallback, nanoUsd: 5 }))).toMatchObject({
    promptmill: { model: 'openai/gpt-4.1', fallback_from: 'xai/grok-4', cost_usd: 5e-9 },
  });
});

test.each([
  [response(200), 'completed'],
  [response(400), 'failed'],
  [error, 'failed'],
] as const)('a result is its line and the file that is for', (outcome, status) => {
  expect(toResult(request, outcome)).toEqual({ status, line: resultLine(request, outcome) });
});
