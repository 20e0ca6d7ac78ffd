import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { describeReasons } from './failure-reasons.ts';
import { mergeResults } from './merge-results.ts';
import { publishResults } from './publish-results.ts';

async function* each(lines: readonly unknown[]): AsyncGenerator<string> {
  for (const line of lines) yield JSON.stringify(line);
}

const refused = (id: string, status: number, body: unknown) => ({
  custom_id: id,
  response: { status_code: status, body },
});

it('counts the reasons of failed requests, the most frequent first, each with an example', async () => {
  const errors = [
    refused('0', 400, { error: 'Bad\nprompt' }),
    refused('1', 401, { error: { message: 'Incorrect API key' } }),
    refused('2', 401, { error: { message: 'Incorrect API key: sk-2', code: null } }),
    { custom_id: '3', response: null, error: { code: 'request_timeout', message: 'No answer.' } },
    refused('4', 418, null),
    refused('6', 400, { error: { message: 'Too long.\u001B', code: 'context_length_exceeded' } }),
    refused('5', 404, '<html>'),
  ];
  const written: string[] = [];
  const target = new Writable({
    decodeStrings: false,
    highWaterMark: 1,
    write(chunk: string, _encoding, done) {
      written.push(chunk);
      setImmediate(done);
    },
  });
  const reasons = await publishResults(mergeResults({ input: each(errors), output: each([]), errors: each(errors) }), {
    target,
    format: 'jsonl',
  });
  expect(written).toEqual(errors.map((line) => `${JSON.stringify(line)}\n`));
  expect(describeReasons(reasons, 52)).toEqual([
    '2 × 401, such as 1: Incorrect API key',
    '1 × 400, such as 0: Bad prompt',
    '1 × request_timeout, such as 3: No answer.',
    '1 × 418, such as 4',
    '1 × 400 context_length_exceeded, such as 6: Too lon…',
    '1 × other reasons',
  ]);
});
