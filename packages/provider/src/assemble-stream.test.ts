import type { Endpoint } from '@promptmill/core';
import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { type AnswerDelta, createStreamAssembler } from './assemble-stream.ts';

const assemble = (url: Endpoint, events: readonly unknown[]): { answer: unknown; deltas: AnswerDelta[] } => {
  const assembler = createStreamAssembler(url);
  const deltas = events.flatMap((event) => assembler.add(event));
  return { answer: assembler.answer(), deltas };
};

const chat = '/v1/chat/completions';
const head = { id: 'c1', created: 1, model: 'm', system_fingerprint: 'fp' };

const chunk = (delta: object, finishReason: string | null = null, index = 0) => ({
  ...head,
  object: 'chat.completion.chunk',
  choices: [{ index, delta, logprobs: null, finish_reason: finishReason }],
  usage: null,
  obfuscation: 'abc',
});

const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
const usageChunk = { ...head, object: 'chat.completion.chunk', choices: [], usage };

const completion = (...choices: object[]) => ({ ...head, object: 'chat.completion', choices, usage });

describe('chat chunks', () => {
  it('become a message', () => {
    const events = [
      chunk({ role: 'assistant', content: '', refusal: null }),
      chunk({ content: 'Hel' }),
      chunk({ content: 'lo' }),
      chunk({}, 'stop'),
      usageChunk,
    ];
    expect(assemble(chat, events)).toEqual({
      answer: completion({
        index: 0,
        message: { role: 'assistant', content: 'Hello', refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      }),
      deltas: [
        { index: 0, text: 'Hel' },
        { index: 0, text: 'lo' },
      ],
    });
  });

  it('become tool calls, whose arguments come in pieces that alternate', () => {
    const call = (index: number, rest: object) => chunk({ tool_calls: [{ index, ...rest }] });
    const { answer } = assemble(chat, [
      chunk({ role: 'assistant', content: null }),
      call(0, { id: 'call_a', type: 'function', function: { name: 'add', arguments: '' } }),
      call(1, { id: 'call_b', type: 'function', function: { name: 'mul', arguments: '{"x"' } }),
      call(0, { id: '', function: { arguments: '{"a":' } }),
      call(1, { function: { arguments: ':2}' } }),
      call(0, { function: { name: 'add', arguments: '1}' } }),
      chunk({}, 'tool_calls'),
      usageChunk,
    ]);
    expect(answer).toMatchObject({
      choices: [
        {
          message: {
            content: null,
            tool_calls: [
              { id: 'call_a', type: 'function', function: { name: 'add', arguments: '{"a":1}' } },
              { id: 'call_b', type: 'function', function: { name: 'mul', arguments: '{"x":2}' } },
            ],
          },
          finish_reason: 'tool_calls',
        },
      ],
    });
    expect(JSON.stringify(answer)).not.toContain('"index":1');
  });

  it('become a refusal, log probabilities and fields of the provider’s own', () => {
    const withLogprobs = (token: string, delta: object, finishReason: string | null = null) => ({
      ...head,
      choices: [{ index: 0, delta, logprobs: { content: [{ token }], refusal: null }, finish_reason: finishReason }],
    });
    const { answer } = assemble(chat, [
      withLogprobs('a', { role: 'assistant', refusal: 'I ', reasoning_content: 'Hmm' }),
      withLogprobs('b', { refusal: 'won’t', reasoning_content: '.' }, 'stop'),
      { ...head, choices: [], citations: ['https://example.com'] },
    ]);
    expect(answer).toMatchObject({
      citations: ['https://example.com'],
      choices: [
        {
          message: { content: null, refusal: 'I won’t', reasoning_content: 'Hmm.' },
          logprobs: { content: [{ token: 'a' }, { token: 'b' }], refusal: null },
        },
      ],
    });
  });

  it('of several choices become those choices, in order', () => {
    const events = [chunk({ content: 'B' }, null, 1), chunk({ content: 'A' }, 'stop', 0), chunk({}, 'length', 1)];
    expect(assemble(chat, events)).toMatchObject({
      answer: {
        choices: [
          { index: 0, message: { content: 'A' }, finish_reason: 'stop' },
          { index: 1, message: { content: 'B' }, finish_reason: 'length' },
        ],
      },
      deltas: [
        { index: 1, text: 'B' },
        { index: 0, text: 'A' },
      ],
    });
  });

  it.each([
    ['nothing', []],
    ['no finish reason', [chunk({ content: 'A' })]],
    ['one of two finish reasons', [chunk({ content: 'A' }, 'stop'), chunk({ content: 'B' }, null, 1)]],
    ['values that are no chunks', [null, 7, 'x', [], { choices: 'x' }, { choices: [null] }]],
  ])('with %s give no answer', (_what, events) => expect(assemble(chat, events).answer).toBeUndefined());

  it('cannot reach the prototype of an object', () => {
    const hostile = JSON.parse('{"choices":[{"index":0,"delta":{"__proto__":{"polluted":1}},"finish_reason":"stop"}]}');
    assemble(chat, [hostile]);
    expect({}).not.toHaveProperty('polluted');
  });
});

test('any cut of the texts into chunks gives the same answer', () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 });
  /** A text in pieces, none of them empty. */
  const pieces = fc.array(fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }), { maxLength: 8 });
  const choice = fc.record({
    content: pieces,
    toolArguments: pieces,
    finish: fc.constantFrom('stop', 'length'),
    id: text,
  });
  fc.assert(
    fc.property(fc.array(choice, { minLength: 1, maxLength: 3 }), fc.infiniteStream(fc.nat()), (choices, picks) => {
      const call = (id: string, args: string) => ({ id, type: 'function', function: { name: 'f', arguments: args } });
      const queues = choices.map(({ content, toolArguments, finish, id }, index) => [
        chunk({ role: 'assistant', content: '' }, null, index),
        ...content.map((piece) => chunk({ content: piece }, null, index)),
        chunk({ tool_calls: [{ index: 0, ...call(id, '') }] }, null, index),
        ...toolArguments.map((piece) =>
          chunk({ tool_calls: [{ index: 0, function: { arguments: piece } }] }, null, index),
        ),
        chunk({}, finish, index),
      ]);
      // The chunks of the choices may alternate in any order.
      const events: object[] = [];
      for (let left = queues; left.length > 0; left = left.filter((queue) => queue.length > 0)) {
        const next = left[picks.next().value % left.length]?.shift();
        if (next) events.push(next);
      }
      const { answer, deltas } = assemble(chat, [...events, usageChunk]);
      expect(answer).toEqual(
        completion(
          ...choices.map(({ content, toolArguments, finish, id }, index) => ({
            index,
            message: { role: 'assistant', content: content.join(''), tool_calls: [call(id, toolArguments.join(''))] },
            logprobs: null,
            finish_reason: finish,
          })),
        ),
      );
      for (const [index, { content }] of choices.entries()) {
        const texts = deltas.filter((delta) => delta.index === index).map((delta) => delta.text);
        expect(texts.join('')).toBe(content.join(''));
      }
    }),
  );
});

test('completion chunks become texts', () => {
  const piece = (text: string, finishReason: string | null = null, index = 0) => ({
    id: 'cmpl-1',
    object: 'text_completion',
    choices: [{ index, text, logprobs: null, finish_reason: finishReason }],
  });
  const events = [piece('Hel'), piece('Hi', 'stop', 1), piece('lo'), piece('', 'length'), { choices: [], usage }];
  expect(assemble('/v1/completions', events)).toEqual({
    answer: {
      id: 'cmpl-1',
      object: 'text_completion',
      choices: [
        { index: 0, text: 'Hello', logprobs: null, finish_reason: 'length' },
        { index: 1, text: 'Hi', logprobs: null, finish_reason: 'stop' },
      ],
      usage,
    },
    deltas: [
      { index: 0, text: 'Hel' },
      { index: 1, text: 'Hi' },
      { index: 0, text: 'lo' },
    ],
  });
});

describe('the events of a response', () => {
  const delta = { type: 'response.output_text.delta', output_index: 1, content_index: 0, delta: 'Hi' };

  it.each(['response.completed', 'response.incomplete'])('become the response in the event %s', (type) => {
    const response = { object: 'response', output: [{ type: 'message' }] };
    expect(assemble('/v1/responses', [{ type: 'response.created', response: {} }, delta, { type, response }])).toEqual({
      answer: response,
      deltas: [{ index: 1, text: 'Hi' }],
    });
  });

  it('give no answer when they break off', () => {
    const created = { type: 'response.created', response: { object: 'response', output: [] } };
    expect(assemble('/v1/responses', [created, delta]).answer).toBeUndefined();
  });

  it('throw the error of a failed response', () => {
    const event = { type: 'response.failed', response: { error: { code: 'server_error', message: 'Oops' } } };
    expect(() => assemble('/v1/responses', [event])).toThrow('Oops');
  });
});

test('an endpoint without streaming gives no answer', () => {
  expect(assemble('/v1/embeddings', [{ data: [] }]).answer).toBeUndefined();
});
