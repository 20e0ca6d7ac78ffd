import { expect, it } from 'vitest';
import { answerSchemaOf, answerTextsOf, bodyThatAsksAgain, schemaFields } from './structured-answer.ts';

const schema = { type: 'object' };
const chat = '/v1/chat/completions';
const responses = '/v1/responses';

it.each([chat, responses] as const)('finds the schema that %s is asked with', (url) => {
  expect(answerSchemaOf(url, schemaFields(url, 'answer', schema))).toBe(schema);
  expect(answerSchemaOf(url, { response_format: { type: 'json_object' }, text: {} })).toBeUndefined();
});

it.each([
  ['an answer', { message: { content: '{}' }, finish_reason: 'stop' }, [{ text: '{}' }]],
  ['a refusal', { message: { content: null, refusal: 'No.' } }, [{ text: '', refusal: 'No.' }]],
  ['a cut', { message: { content: '{"a' }, finish_reason: 'length' }, [{ text: '{"a', cutOffBy: 'length' }]],
  ['a call of a tool', { message: { content: null, tool_calls: [{}] } }, []],
])('reads %s of a chat', (_, choice, texts) => {
  expect(answerTextsOf(chat, { choices: [choice] })).toEqual(texts);
});

it('reads each choice of a chat', () => {
  const choices = ['a', 'b'].map((content) => ({ message: { content } }));
  expect(answerTextsOf(chat, { choices })).toEqual([{ text: 'a' }, { text: 'b' }]);
});

it.each([
  ['an answer', { output: [{ type: 'reasoning' }, { content: [{ text: '{' }, { text: '}' }] }] }, [{ text: '{}' }]],
  ['a refusal', { output: [{ content: [{ type: 'refusal', refusal: 'No.' }] }] }, [{ text: '', refusal: 'No.' }]],
  [
    'a cut',
    { output: [{ content: [{ text: '{' }] }], incomplete_details: { reason: 'max_output_tokens' } },
    [{ text: '{', cutOffBy: 'max_output_tokens' }],
  ],
  ['a call of a tool', { output: [{ type: 'function_call' }] }, []],
])('reads %s of a response', (_, answer, texts) => {
  expect(answerTextsOf(responses, answer)).toEqual(texts);
});

it('asks again with the answer and its faults at the end of the conversation', () => {
  const wrong = { text: '{"stars": "5"}', faults: ['/stars must be integer'] };
  const question = { role: 'user', content: 'Rate it.' };
  const more = [
    { role: 'assistant', content: wrong.text },
    { role: 'user', content: expect.stringContaining('- /stars must be integer\n') as string },
  ];
  expect(bodyThatAsksAgain(chat, { model: 'm', messages: [question] }, wrong)).toEqual({
    model: 'm',
    messages: [question, ...more],
  });
  for (const input of ['Rate it.', [question]])
    expect(bodyThatAsksAgain(responses, { model: 'm', input }, wrong)).toEqual({
      model: 'm',
      input: [question, ...more],
    });
  expect(bodyThatAsksAgain(chat, { model: 'm', messages: [] }, { ...wrong, text: '' })['messages']).toEqual([more[1]]);
});
