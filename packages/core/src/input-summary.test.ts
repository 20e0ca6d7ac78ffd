import { expect, test } from 'vitest';
import type { Endpoint } from './endpoints.ts';
import {
  type BatchTerms,
  createInputSummary,
  findBatchErrors,
  type InputSummary,
  maxListedCharacters,
  maxListedProblems,
  maxModelCharacters,
  maxModels,
  onlyModel,
} from './input-summary.ts';
import type { LineProblem, RequestLine } from './request-line.ts';

const chat = '/v1/chat/completions';
const embeddings = '/v1/embeddings';
const terms: BatchTerms = { endpoint: chat, maxRequests: 1_000_000, refusalOf: () => undefined };

const request = (model: string, url: Endpoint = chat): RequestLine => ({ customId: 'a', url, body: { model } });
const badJson: LineProblem = { code: 'invalid_json_line', message: 'Not JSON.', param: null };

/** A summary of lines 1, 2, …: requests, or problems. */
const summaryOf = (...lines: (RequestLine | LineProblem)[]): InputSummary => {
  const summary = createInputSummary();
  for (const [i, line] of lines.entries())
    if ('code' in line) summary.addBadLine(i + 1, line);
    else summary.addRequest(i + 1, line);
  return summary.finish();
};

const repeat = (count: number, line: RequestLine | LineProblem) => Array.from({ length: count }, () => line);

test('valid lines are counted by endpoint, and each model is listed with its first line', () => {
  const summary = summaryOf(request('b'), request('a'), request('b', embeddings), request('a'));
  expect(summary).toEqual({
    requests: 4,
    problems: [],
    problemCount: 0,
    urls: { [chat]: { count: 3, lines: [1, 2, 4] }, [embeddings]: { count: 1, lines: [3] } },
    models: { b: 1, a: 2 },
  });
  expect(findBatchErrors(summary, terms)).toMatchObject([{ code: 'url_mismatch', line: 3 }]);
});

test('a file without a line is empty; one with only invalid lines is not', () => {
  expect(summaryOf().problems).toEqual([{ code: 'empty_file', message: expect.any(String), param: null, line: null }]);
  expect(summaryOf(badJson)).toMatchObject({ requests: 1, problems: [{ code: 'invalid_json_line', line: 1 }] });
});

test('a problem of the whole file is listed too, and counts as no request', () => {
  const summary = createInputSummary();
  summary.addRequest(1, request('a'));
  summary.addProblem(null, { code: 'file_too_large', message: 'Too large.', param: 'file' });
  expect(summary.finish()).toMatchObject({ requests: 1, problemCount: 1, problems: [{ line: null, param: 'file' }] });
});

test('problems are listed up to the cap and counted beyond it', () => {
  const summary = summaryOf(...repeat(maxListedProblems + 50, badJson));
  expect(summary.requests).toBe(maxListedProblems + 50);
  expect(summary.problemCount).toBe(maxListedProblems + 50);
  expect(summary.problems).toHaveLength(maxListedProblems);
  expect(summary.problems.at(-1)?.line).toBe(maxListedProblems);
});

test('models are listed up to the cap; a line that names one more is a problem', () => {
  const models = Array.from({ length: maxModels }, (_, i) => request(`model-${i}`));
  expect(summaryOf(...models, request('model-0')).problemCount).toBe(0);
  const summary = summaryOf(...models, request('one-more'), request('model-0'));
  expect(Object.keys(summary.models)).toHaveLength(maxModels);
  expect(summary.problems).toMatchObject([{ code: 'too_many_models', line: maxModels + 1, param: 'body.model' }]);
});

test('a summary survives JSON, whatever its models are called', () => {
  const summary = summaryOf(request('__proto__'), request('constructor'), request('7'));
  expect(Object.entries(JSON.parse(JSON.stringify(summary)).models)).toEqual([
    ['7', 3],
    ['__proto__', 1],
    ['constructor', 2],
  ]);
});

test('an input without a fault has no errors', () => {
  expect(findBatchErrors(summaryOf(request('a'), request('b')), { ...terms, maxRequests: 2 })).toEqual([]);
});

test('too many requests are one error without a line number', () => {
  const summary = summaryOf(badJson, request('a'), request('a'));
  expect(findBatchErrors(summary, { ...terms, maxRequests: 2 })).toMatchObject([
    { code: 'too_many_tasks', line: null, message: expect.stringMatching(/3 .* 2/) },
    { code: 'invalid_json_line', line: 1 },
  ]);
});

test("the first 20 lines for each endpoint that is not the batch's are errors", () => {
  const summary = summaryOf(request('a'), ...repeat(30, request('a', embeddings)));
  const errors = findBatchErrors(summary, terms);
  expect(errors.map(({ line }) => line)).toEqual(Array.from({ length: 20 }, (_, i) => i + 2));
  expect(errors[0]).toMatchObject({ code: 'url_mismatch', param: 'url', message: expect.stringContaining(embeddings) });
});

const refusalOf: BatchTerms['refusalOf'] = (model) =>
  model === 'known' ? undefined : { code: 'model_not_found', message: `no ${model}` };

test('a model that the batch may not use is one error, with its first line', () => {
  const summary = summaryOf(request('known'), request('unknown'), request('unknown'));
  expect(findBatchErrors(summary, { ...terms, refusalOf })).toEqual([
    { code: 'model_not_found', message: 'no unknown', param: 'body.model', line: 2 },
  ]);
});

test('errors are sorted by line number, and the cap is for all kinds together', () => {
  const summary = summaryOf(request('unknown'), badJson, request('known', embeddings), ...repeat(200, badJson));
  const errors = findBatchErrors(summary, { ...terms, refusalOf });
  expect(errors).toHaveLength(maxListedProblems);
  expect(errors.slice(0, 4).map(({ code, line }) => [line, code])).toEqual([
    [1, 'model_not_found'],
    [2, 'invalid_json_line'],
    [3, 'url_mismatch'],
    [4, 'invalid_json_line'],
  ]);
});

test('a summary has one model when all its requests name the same', () => {
  expect(onlyModel(summaryOf(request('a'), request('a')))).toBe('a');
  expect(onlyModel(summaryOf(request('a'), request('b')))).toBeUndefined();
  expect(onlyModel(summaryOf(badJson))).toBeUndefined();
});

test('a summary stays small whatever its lines say', () => {
  const longProblem: LineProblem = { code: 'duplicate_custom_id', message: '\u0001'.repeat(512), param: 'custom_id' };
  const models = Array.from({ length: maxModels }, (_, i) => request(`${i}`.padEnd(256, '\u0001')));
  const summary = summaryOf(...models, ...repeat(maxListedProblems, longProblem));
  expect(summary.requests).toBe(maxModels + maxListedProblems);
  expect(summary.problemCount).toBeGreaterThan(summary.problems.length);
  expect(JSON.stringify(summary).length).toBeLessThan(maxListedCharacters + 2 * maxModelCharacters);
  const errors = findBatchErrors(summary, {
    ...terms,
    refusalOf: (model) => ({ code: 'model_not_found', message: `no ${model}` }),
  });
  expect(errors.length).toBeGreaterThan(1);
  expect(JSON.stringify(errors).length).toBeLessThan(maxListedCharacters + 1000);
});
