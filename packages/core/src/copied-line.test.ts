import { describe, expect, test } from 'vitest';
import { copiedLine, noteOfLine, savedNanoUsdOf } from './copied-line.ts';
import { type Outcome, resultLine, type ResultNote } from './result-line.ts';

const first = { batchId: `batch_${'a'.repeat(32)}`, index: 3, customId: 'a","response":{"b' };
const repeat = { batchId: first.batchId, index: 9, customId: 'ü","error":' };
/** What a provider may answer to lead a reader of the line astray. */
const json = '{"error":null,"promptmill":{"cost_usd":9},"text":",\\"error\\":1","choices":[{"error":{"code":"x"}}]}';
const answer: Outcome = { kind: 'response', statusCode: 200, requestId: 'r","error":1', json };
const lineOf = (outcome: Outcome, note?: ResultNote) => Buffer.from(resultLine(first, outcome, note));
const copyOf = (line: Buffer, nanoUsd?: number, batchId?: string) => {
  const copy = copiedLine(repeat, { line, nanoUsd, ...(batchId === undefined ? {} : { batchId }) });
  return JSON.parse(copy.toString()) as Record<string, unknown>;
};
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
  expect(copyOf(lineOf(answer, { fallback, nanoUsd: 1 }), 1, 'batch_b')['promptmill']).toEqual({
    model: 'openai/gpt-5',
    fallback_from: 'xai/grok-4.3',
    cost_usd: 0,
    copied_from: first.customId,
    copied_from_batch: 'batch_b',
    saved_usd: 1e-9,
  });
});

test('a copy of a copy names the request that was answered, and what its call cost', () => {
  const copy = copiedLine(repeat, { line: lineOf(answer), nanoUsd: 7, batchId: 'batch_b' });
  expect(copyOf(copy, 0)['promptmill']).toEqual({
    cost_usd: 0,
    copied_from: first.customId,
    copied_from_batch: 'batch_b',
    saved_usd: 7e-9,
  });
  expect(savedNanoUsdOf(noteOfLine(copy))).toBe(7);
});

test('a line without a note has an empty one', () => {
  expect(noteOfLine(lineOf(answer))).toEqual({});
  expect(savedNanoUsdOf({})).toBeUndefined();
});

test('bytes that are no result line are refused', () => {
  for (const bytes of ['', '{}', '{"id":"a","custom_id":"b","error":null,"response":null}', `${lineOf(answer)}\n`])
    expect(() => noteOfLine(Buffer.from(bytes))).toThrow();
});
