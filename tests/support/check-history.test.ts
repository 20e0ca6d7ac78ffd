import { expect, test } from 'vitest';
import { checkHistory, type History } from './check-history.ts';

const line = (customId: string): string => `${JSON.stringify({ custom_id: customId })}\n`;
const lines = (...customIds: string[]): string => customIds.map(line).join('');
const asked = (customId: string, content: string): string =>
  `${JSON.stringify({ custom_id: customId, body: { model: 'simulator/echo', messages: [{ role: 'user', content }] } })}\n`;
const answered = (customId: string, content: string): string =>
  `${JSON.stringify({ custom_id: customId, response: { body: { choices: [{ message: { content } }] } } })}\n`;
const copied = (customId: string, promptmill: object): string =>
  `${JSON.stringify({ custom_id: customId, promptmill })}\n`;
const call = (index: number, status = 200) => ({ key: `batch_1-${index}`, status });
const counts = (completed: number, failed: number, total = 4) => ({ total, completed, failed });

/** The history of four requests. The provider refused b. */
const good: History = {
  input: lines('a', 'b', 'c', 'd'),
  output: lines('a', 'c', 'd'),
  errors: lines('b'),
  batch: { id: 'batch_1', status: 'completed', request_counts: counts(3, 1) },
  calls: [call(3), call(0), call(1, 400), call(2), { key: 'batch_2-0', status: 200 }, { key: null, status: 200 }],
};

const batch = (more: Partial<History['batch']>): Pick<History, 'batch'> => ({ batch: { ...good.batch, ...more } });

test.each<[string, Partial<History>]>([
  ['without a fault', {}],
  [
    'with success only',
    {
      output: lines('a', 'b', 'c', 'd'),
      errors: undefined,
      ...batch({ request_counts: counts(4, 0) }),
      calls: [0, 1, 2, 3].map((i) => call(i)),
    },
  ],
  [
    'of a cancelled batch whose last requests never ran',
    {
      output: lines('a'),
      errors: lines('b', 'c', 'd'),
      ...batch({ status: 'cancelled', request_counts: counts(1, 3) }),
      calls: [call(0)],
    },
  ],
  ['with retries that were allowed', { calls: [...good.calls, call(2, 500), call(2, 429)], allowedRetries: 2 }],
  [
    'with its own answers',
    {
      input: asked('a', 'one') + lines('b', 'c') + asked('d', 'two'),
      output: answered('a', 'one') + line('c') + answered('d', 'two'),
    },
  ],
  [
    'with copies of its own answers and of another batch',
    {
      output: line('a') + copied('c', { copied_from: 'a' }) + copied('d', { copied_from: 'x', copied_from_batch: 'b' }),
      calls: [call(0), call(1, 400)],
    },
  ],
  ['with a repeat that a crash explains', { calls: [...good.calls, call(2)], allowedRepeats: 1 }],
])('a history %s passes', (_, more) => {
  expect(() => checkHistory({ ...good, ...more })).not.toThrow();
});

test.each<[string, string | RegExp, Partial<History>]>([
  ['a line without a result', 'P1: 1 lines have no result, c first', { output: lines('a', 'd') }],
  ['no files at all', 'P1: 4 lines have no result, a first', { output: undefined, errors: undefined }],
  ['lines out of order', 'P1: the output file has c out of order or twice', { output: lines('a', 'd', 'c') }],
  ['a line twice', 'P1: the output file has c out of order or twice', { output: lines('a', 'c', 'c', 'd') }],
  ['an error line twice', 'P1: the error file has b out of order or twice', { errors: lines('b', 'b') }],
  ['a line in both files', 'P1: a line is in both files', { errors: lines('b', 'd') }],
  [
    'a result of no request',
    'P1: the output file has x, which is not in the input',
    { output: lines('a', 'c', 'd', 'x') },
  ],
  [
    'an answer to another prompt',
    'P1: d has the answer to another prompt: one',
    {
      input: asked('a', 'one') + lines('b', 'c') + asked('d', 'two'),
      output: answered('a', 'one') + line('c') + answered('d', 'one'),
    },
  ],
  ['an error of no request', 'P1: the error file has x, which is not in the input', { errors: lines('b', 'x') }],
  [
    'a last line cut short',
    'P1: a result file does not end in a newline',
    { output: lines('a', 'c', 'd').slice(0, -1) },
  ],
  ['an error file cut short', 'P1: a result file does not end in a newline', { errors: lines('b').slice(0, -1) }],
  ['an empty file', 'P1: a result file does not end in a newline', { output: '' }],
  ['a line that does not parse', /JSON/, { output: `${line('a')}{"custom_id":\n${line('d')}` }],
  ['an empty line', /JSON/, { output: `${line('a')}\n${lines('c', 'd')}` }],
  ['a batch that has not ended', 'P2: the batch is in_progress', batch({ status: 'in_progress' })],
  ['a total that is not the input’s', 'P2: counts', batch({ request_counts: counts(3, 1, 5) })],
  ['too few counted as completed', 'P2: counts', batch({ request_counts: counts(2, 1) })],
  ['too many counted as failed', 'P2: counts', batch({ request_counts: counts(3, 2) })],
  ['no counts', 'P2: counts', batch({ request_counts: undefined })],
  ['a call repeated', 'P3: 1 calls were repeated, 0 are explained', { calls: [...good.calls, call(2)] }],
  ['a failed call repeated', 'P3: 1 calls were repeated', { calls: [...good.calls, call(1, 500)] }],
  [
    'more repeats than crashes explain',
    'P3: 2 calls were repeated, 1',
    { calls: [...good.calls, call(2), call(3)], allowedRepeats: 1 },
  ],
  [
    'more retries than allowed',
    'P3: 1 calls were repeated',
    { calls: [...good.calls, call(2, 500), call(2, 500)], allowedRetries: 1 },
  ],
  [
    'retries of one that others did not use',
    'P3: 1 calls',
    { calls: [...good.calls, call(2), call(2)], allowedRetries: 1 },
  ],
  [
    'a result that was never given',
    'P3: c has a result that the provider never gave',
    { calls: good.calls.filter(({ key }) => key !== 'batch_1-2') },
  ],
  [
    'a success that was a refusal',
    'P3: d has a result that the provider never gave',
    { calls: [call(0), call(1, 400), call(2), call(3, 500)] },
  ],
  [
    'a copy of a result that was never given',
    'P3: c has a result that the provider never gave',
    { output: line('a') + copied('c', { copied_from: 'b' }) + line('d'), calls: [call(0), call(1, 400), call(3)] },
  ],
  [
    'a copy in place of an answer',
    'P3: c has a copy although it was called',
    { output: line('a') + copied('c', { copied_from: 'a' }) + line('d') },
  ],
  [
    'a paid answer thrown away',
    'P3: the answer for b was paid for and thrown away',
    { calls: [0, 1, 2, 3].map((i) => call(i)) },
  ],
])('%s is found', (_, message, more) => {
  expect(() => checkHistory({ ...good, ...more })).toThrow(message);
});
