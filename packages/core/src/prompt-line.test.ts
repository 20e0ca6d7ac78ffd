import { expect, test } from 'vitest';
import { promptToLine } from './prompt-line.ts';
import { parseRequestLine } from './request-line.ts';

test('a text becomes a chat request named after its number', () => {
  expect(JSON.parse(promptToLine('Say "hi"\n', 3, { model: 'xai/grok-4' }))).toEqual({
    custom_id: 'request-3',
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model: 'xai/grok-4', messages: [{ role: 'user', content: 'Say "hi"\n' }] },
  });
});

test('a prompt becomes one valid line', () => {
  const line = promptToLine('two\nlines', 1, { model: 'm' });
  expect(line).not.toContain('\n');
  expect(parseRequestLine(line)).toMatchObject({ ok: true });
});

test("a prompt's own custom_id, messages and model override the defaults", () => {
  const messages = [{ role: 'user', content: 'Hi' }];
  const line = promptToLine({ custom_id: 'a', messages, model: 'own' }, 1, { model: 'default' });
  expect(JSON.parse(line)).toMatchObject({ custom_id: 'a', body: { model: 'own', messages } });
});

test('the system message comes before the prompt', () => {
  expect(JSON.parse(promptToLine('Hi', 1, { model: 'm', system: 'Be brief.' })).body.messages).toEqual([
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hi' },
  ]);
});

test('params add to the body, and never replace its model or messages', () => {
  const params = { max_tokens: 500, model: 'other', messages: [] };
  expect(JSON.parse(promptToLine('Hi', 1, { model: 'm', params })).body).toEqual({
    max_tokens: 500,
    model: 'm',
    messages: [{ role: 'user', content: 'Hi' }],
  });
});

test('a line without a model does not pass the check of lines', () => {
  expect(parseRequestLine(promptToLine('Hi', 1, {}))).toMatchObject({
    ok: false,
    problem: { code: 'missing_required_parameter', param: 'body.model' },
  });
});

test.each([
  ['/v1/responses', { instructions: 'Be brief.', input: 'Hi' }],
  ['/v1/completions', { prompt: 'Hi' }],
  ['/v1/embeddings', { input: 'Hi' }],
  ['/v1/moderations', { input: 'Hi' }],
] as const)('a prompt for %s is in the field that it reads', (endpoint, fields) => {
  const line = promptToLine('Hi', 1, { model: 'm', system: 'Be brief.', endpoint });
  expect(JSON.parse(line)).toEqual({
    custom_id: 'request-1',
    method: 'POST',
    url: endpoint,
    body: { model: 'm', ...fields },
  });
});
