import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { describeReasons, publishResults } from './publish-results.ts';

async function* each(lines: readonly unknown[]): AsyncGenerator<string> {
  for (const line of lines) yield JSON.stringify(line);
}

const refused = (id: string, status: number, body: unknown) => ({
  custom_id: id,
  response: { status_code: status, body },
});

it('counts the reasons of failed requests, the most frequent first', async () => {
  const errors = [
    refused('0', 400, { error: 'Bad\nprompt' }),
    refused('1', 401, { error: { message: 'Incorrect API key' } }),
    refused('2', 401, { error: { message: 'Incorrect API key' } }),
    { custom_id: '3', response: null, error: { code: 'request_timeout', message: 'No answer.' } },
    refused('4', 418, null),
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
  const reasons = await publishResults(
    { input: each(errors), output: each([]), errors: each(errors) },
    { target, format: 'jsonl' },
  );
  expect(written).toEqual(errors.map((line) => `${JSON.stringify(line)}\n`));
  expect(describeReasons(reasons)).toEqual([
    '2 × 401 Incorrect API key',
    '1 × 400 Bad prompt',
    '1 × request_timeout: No answer.',
    '2 × other reasons',
  ]);
});
