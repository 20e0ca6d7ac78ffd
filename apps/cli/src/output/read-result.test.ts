import { describe, expect, it } from 'vitest';
import { readResult } from './read-result.ts';

const lineOf = (body: unknown, more: object = {}): string =>
  JSON.stringify({ custom_id: 'a', response: { status_code: 200, body }, error: null, ...more });

const usage = { prompt_tokens: 3, completion_tokens: 5 };

describe('readResult', () => {
  it.each([
    ['chat', { choices: [{ message: { content: 'Hi' } }] }, 'Hi'],
    ['a refusal', { choices: [{ message: { content: null, refusal: 'No' } }] }, 'No'],
    ['a tool call', { choices: [{ message: { content: null, tool_calls: [{ id: '1' }] } }] }, '[{"id":"1"}]'],
    ['no text', { choices: [{ message: { content: null } }] }, ''],
    ['completions', { choices: [{ text: 'Hi' }] }, 'Hi'],
    [
      'responses',
      { output: [{ type: 'reasoning' }, { content: [{ text: 'H' }, { type: 'x' }] }, { content: [{ text: 'i' }] }] },
      'Hi',
    ],
    ['embeddings', { data: [{ embedding: [0.5, 1] }] }, '[0.5,1]'],
    ['images', { data: [{ b64_json: 'AA==' }] }, 'AA=='],
    ['moderations', { results: [{ flagged: false }] }, '{"flagged":false}'],
  ])('finds the answer: %s', (_what, body, answer) => {
    expect(readResult(lineOf(body))).toMatchObject({ customId: 'a', answer, error: null });
  });

  it('tells what the answer cost, where the server knows', () => {
    expect(readResult(lineOf({}, { promptmill: { cost_usd: 0.00012 } }))).toMatchObject({
      model: null,
      costUsd: 0.00012,
    });
    expect(readResult(lineOf({}, { promptmill: { cost_usd: 0 } }))).toMatchObject({ costUsd: 0 });
    expect(readResult(lineOf({}, { promptmill: { model: 'm' } }))).toMatchObject({ model: 'm', costUsd: null });
    expect(readResult(lineOf({}))).toMatchObject({ costUsd: null });
  });

  it('tells model and tokens, and the model of the fallback that answered', () => {
    const body = { model: 'grok-4', usage, choices: [] };
    expect(readResult(lineOf(body))).toMatchObject({ model: 'grok-4', inputTokens: 3, outputTokens: 5 });
    expect(readResult(lineOf(body, { promptmill: { model: 'openai/gpt' } }))).toMatchObject({ model: 'openai/gpt' });
    expect(readResult(lineOf({}))).toMatchObject({ model: null, inputTokens: null, outputTokens: null });
  });

  it.each([
    [{ response: { status_code: 401, body: { error: { message: 'Bad key' } } }, error: null }, '401 Bad key'],
    [{ response: { status_code: 404, body: '<html>' }, error: null }, '404'],
    [{ response: null, error: { code: 'request_timeout', message: 'No answer.' } }, 'request_timeout: No answer.'],
  ])('tells why there is none: %j', (line, error) => {
    expect(readResult(JSON.stringify({ custom_id: 'a', ...line }))).toMatchObject({ answer: null, error });
  });
});
