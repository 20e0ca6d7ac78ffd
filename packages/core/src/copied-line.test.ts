import { describe, expect, test } from 'vitest';
import { copiedLine, readLineHead, savedNanoUsdOf } from './copied-line.ts';
import { type Outcome, resultLine, type ResultNote } from './result-line.ts';

const first = { batchId: `batch_${'a'.repeat(32)}`, index: 3, customId: 'a","response":{"b' };
const repeat = { batchId: first.batchId, index: 9, customId: 'ü","error":' };
/** Of another batch. */
const elsewhere = { ...repeat, batchId: `batch_${'b'.repeat(32)}` };
/** What a provider may answer to lead a reader of the line astray. */
const json = '{"error":null,"promptmill":{"cost_usd":9},"text":",\\"error\\":1","choices":[{"error":{"code":"x"}}]}';
const answer: Outcome = { kind: 'response', statusCode: 200, requestId: 'r","error":1', json };
const lineOf = (outcome: Outcome, note?: ResultNote) => Buffer.from(resultLine(first, outcome, note));
const copyOf = (line: Buffer, nanoUsd?: number, request = repeat) =>
  JSON.parse(copiedLine(request, line, nanoUsd).line.toString()) as Record<string, unknown>;
const id = `batch_req_${'a'.repeat(32)}_9`;

describe.each<{ name: string; outcome: Outcome }>([
  { name: 'an answer', outcome: answer },
  { name: 'an error', outcome: { kind: 'error', code: 'x', message: 'a,"promptmill":{' } },
  { name: 'an answer with an error', outcome: { ...answer, error: { code: 'schema_mismatch', message: ',"error":' } } },
])('of $name', ({ outcome }) => {
  const original = JSON.parse(lineOf(outcome).toString()) as Record<string, unknown>;

  test('a copy has the same result under its own ids, and says whose it is', () => {
    const note = { cost_usd: 0, copied_from: first.customId, saved_usd: 0.5 };
    expect(copyOf(lineOf(outcome, { nanoUsd: 5e8 }), 5e8)).toEqual({
      ...original,
      id,
      custom_id: repeat.customId,
      promptmill: note,
    });
  });

  test('it does not say what it saved where that is unknown', () => {
    expect(copyOf(lineOf(outcome))['promptmill']).toEqual({ cost_usd: 0, copied_from: first.customId });
  });
});

test('a copy names the model that a fallback called, and the batch when it is another', () => {
  const fallback = { model: 'openai/gpt-5', fallbackFrom: 'xai/grok-4.3' };
  expect(copyOf(lineOf(answer, { fallback, nanoUsd: 1 }), 1, elsewhere)['promptmill']).toEqual({
    model: 'openai/gpt-5',
    fallback_from: 'xai/grok-4.3',
    cost_usd: 0,
    copied_from: first.customId,
    copied_from_batch: first.batchId,
    saved_usd: 1e-9,
  });
});

test('a copy of a copy names the request that was answered, and what its call cost', () => {
  const copy = copiedLine(elsewhere, lineOf(answer), 7);
  expect(copyOf(copy.line, 0, { ...elsewhere, index: 10 })['promptmill']).toEqual({
    cost_usd: 0,
    copied_from: first.customId,
    copied_from_batch: first.batchId,
    saved_usd: 7e-9,
  });
  expect(copy.savedNanoUsd).toBe(7);
  expect(savedNanoUsdOf(readLineHead(copy.line).note)).toBe(7);
});

test('what a line cost is in its note, where nobody knows better', () => {
  expect(copiedLine(repeat, lineOf(answer, { nanoUsd: 7 })).savedNanoUsd).toBe(7);
  expect(copiedLine(repeat, lineOf(answer, { nanoUsd: 7 }), 8).savedNanoUsd).toBe(8);
});

test('a line without a note has an empty one', () => {
  expect(readLineHead(lineOf(answer))).toEqual({ ...first, note: {} });
  expect(savedNanoUsdOf({})).toBeUndefined();
});

test('bytes that are no result line are refused', () => {
  for (const bytes of [
    '',
    '{}',
    '{"id":"a","custom_id":"b","error":null,"response":null}',
    `${lineOf(answer).toString()}\n`,
  ])
    expect(() => readLineHead(Buffer.from(bytes))).toThrow(/not a result line/);
});
