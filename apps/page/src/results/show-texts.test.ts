import { describe, expect, it } from 'vitest';
import { answerOf, failureOf, indexOf, promptOf } from './show-texts.ts';

describe('a prompt', () => {
  it.each([
    [
      {
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'Why?' },
        ],
      },
      'Why?',
    ],
    [
      { messages: [{ role: 'user', content: [{ type: 'text', text: 'What is this?' }, { type: 'image_url' }] }] },
      'What is this?\n[image_url]',
    ],
    [{ prompt: 'Once upon' }, 'Once upon'],
    [{ input: 'Embed me' }, 'Embed me'],
    [{ input: ['a', 'b'] }, '["a","b"]'],
    [{ input: [{ role: 'user', content: 'To responses' }] }, 'To responses'],
    [{}, ''],
  ])('of %j is what a person asks', (body, text) => {
    expect(promptOf({ body })).toBe(text);
  });
});

describe('an answer', () => {
  it.each([
    [{ choices: [{ message: { content: 'Because.' } }] }, 'Because.'],
    [{ choices: [{ message: { content: 'A' } }, { message: { content: 'B' } }] }, 'A\n\nB'],
    [{ choices: [{ message: { content: null, refusal: 'No.' } }] }, 'No.'],
    [{ choices: [{ message: { content: null, tool_calls: [{ function: { name: 'f' } }] } }] }, '{"name":"f"}'],
    [{ choices: [{ text: ' a time' }] }, ' a time'],
    [{ output: [{ type: 'reasoning' }, { content: [{ type: 'output_text', text: 'Hi' }] }] }, 'Hi'],
    [{ data: [{ embedding: [1, 2, 3] }] }, '3 numbers'],
    [{ data: [{ b64_json: 'AA==' }] }, 'an image'],
    [{ data: [{ url: 'https://a.example/1' }, { url: 'https://a.example/2' }] }, 'https://a.example/1 and 1 more'],
    [{ results: [{ flagged: true }] }, 'flagged'],
    [null, ''],
  ])('of %j is what it says', (body, text) => {
    expect(answerOf({ response: { status_code: 200, body } })).toBe(text);
  });
});

it('a failure is an error, or an answer that is none', () => {
  const result = { id: 'batch_req_0a_17', custom_id: 'a', response: null, error: null };
  const response = { status_code: 400, body: { error: { message: 'Too long.', code: null, type: 'bad' } } };
  expect(failureOf({ ...result, error: { code: 'x', message: 'y' } })).toEqual({ code: 'x', message: 'y' });
  expect(failureOf({ ...result, response })).toEqual({ code: 'bad', message: 'Too long.' });
  expect(failureOf({ ...result, response: { status_code: 502, body: '' } })).toEqual({ code: '502', message: '' });
  expect(failureOf({ ...result, response: { status_code: 200, body: {} } })).toBeUndefined();
  expect(indexOf(result)).toBe(17);
});
