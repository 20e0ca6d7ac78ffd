import { describe, expect, it } from 'vitest';
import { convertLine } from './convert-line.ts';

const model = 'simulator/echo';

const requestOf = (...args: Parameters<typeof convertLine>): unknown => {
  const converted = convertLine(...args);
  if (converted.kind !== 'request') throw new Error(JSON.stringify(converted));
  return JSON.parse(converted.line);
};

const problemOf = (...args: Parameters<typeof convertLine>): string => {
  const converted = convertLine(...args);
  if (converted.kind !== 'problem') throw new Error(JSON.stringify(converted));
  return converted.message;
};

describe('a line of text', () => {
  it('is the prompt of a request that is named after the line number', () => {
    const params = { max_tokens: 5, temperature: 0 };
    expect(
      requestOf(' Say hi. ', { number: 7, format: 'text', composition: { model, system: 'Be brief.', params } }),
    ).toEqual({
      custom_id: 'request-7',
      method: 'POST',
      url: '/v1/chat/completions',
      body: {
        ...params,
        model,
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'Say hi.' },
        ],
      },
    });
  });

  it('makes no request when it is blank', () => {
    expect(convertLine(' \t', { number: 1, format: 'text', composition: { model } })).toEqual({ kind: 'blank' });
  });

  it('needs a model', () => {
    expect(problemOf('Say hi.', { number: 1, format: 'text', composition: {} })).toMatch(
      /^no model: `model` names one/,
    );
  });
});

describe('a JSON line', () => {
  it('may hold a prompt with an id and a model of its own', () => {
    const line = '{"prompt":"Say hi.","custom_id":"a","model":"xai/grok-4"}';
    expect(requestOf(line, { number: 1, format: 'jsonl', composition: { model } })).toMatchObject({
      custom_id: 'a',
      body: { model: 'xai/grok-4', messages: [{ role: 'user', content: 'Say hi.' }] },
    });
  });

  it('may hold messages', () => {
    const messages = [{ role: 'user', content: 'Say hi.' }];
    expect(
      requestOf(JSON.stringify({ messages }), { number: 3, format: 'jsonl', composition: { model } }),
    ).toMatchObject({
      custom_id: 'request-3',
      body: { model, messages },
    });
  });

  it.each([
    '{"prompt":"Say hi."}',
    '{"url":"/v1/chat/completions","body":{"messages":[]}}',
    '{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[],"stream":false}}',
  ])('is streamed when every request is: %s', (line) => {
    expect(requestOf(line, { number: 1, format: 'jsonl', composition: { model, stream: true } })).toMatchObject({
      body: { stream: true },
    });
  });

  it("stays as it was written when it is complete in OpenAI's format", () => {
    const line =
      '{"custom_id":"a", "method":"POST", "url":"/v1/embeddings", "body":{"model":"m","input":"x","seed":1e2}}';
    expect(convertLine(line, { number: 1, format: 'jsonl', composition: { model } })).toMatchObject({
      kind: 'request',
      line,
    });
  });

  it('gets what it lacks: custom_id, method, model', () => {
    const line = '{"url":"/v1/embeddings","body":{"input":"x"}}';
    expect(requestOf(line, { number: 4, format: 'jsonl', composition: { model } })).toEqual({
      custom_id: 'request-4',
      method: 'POST',
      url: '/v1/embeddings',
      body: { model, input: 'x' },
    });
  });

  it.each([
    ['{"prompt":', /not valid JSON/],
    ['"hi"', /must be a JSON object/],
    ['{"prompt":"a","messages":[]}', /^expected/],
    ['{}', /^expected/],
    ['{"prompt":5}', /`prompt` must be a string/],
    ['{"messages":"a"}', /`messages` must be an array/],
    ['{"prompt":"a","max_tokens":5}', /unknown key `max_tokens`/],
    ['{"prompt":"a","custom_id":5}', /`custom_id` must be/],
    ['{"url":"/v1/else","body":{}}', /`url` must be one of/],
    ['{"url":"/v1/embeddings"}', /`body`/],
  ])('is refused when it is %s', (line, message) => {
    expect(problemOf(line, { number: 1, format: 'jsonl', composition: { model } })).toMatch(message);
  });

  it('of a table of its own is told how to become a prompt', () => {
    expect(problemOf('{"review":"Good."}', { number: 1, format: 'jsonl', composition: { model } })).toContain(
      "`prompt`, such as 'Classify: {{review}}', makes a prompt of it",
    );
  });

  it('is refused when it has a body and an option is for prompts only', () => {
    const line = '{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"m"}}';
    expect(problemOf(line, { number: 1, format: 'jsonl', composition: { system: 'Be brief.' } })).toMatch(
      /what `system`, `endpoint` and `params` set/,
    );
  });
});

describe('an element of a JSON array', () => {
  it('may be a text', () => {
    expect(requestOf('"Say hi."', { number: 2, format: 'json', composition: { model } })).toMatchObject({
      custom_id: 'request-2',
      body: { messages: [{ role: 'user', content: 'Say hi.' }] },
    });
  });

  it('becomes one line where it has several', () => {
    const text = '{"custom_id":"a","method":"POST","url":"/v1/embeddings",\n "body":{"model":"m","input":"x"}}';
    expect(convertLine(text, { number: 1, format: 'json', composition: {} })).toMatchObject({
      line: text.replace('\n ', ''),
    });
  });
});

it('a prompt goes to the endpoint that is named, if it has the form for it', () => {
  const composition = { model, endpoint: '/v1/embeddings' } as const;
  expect(requestOf('Hi', { number: 1, format: 'text', composition })).toMatchObject({
    url: '/v1/embeddings',
    body: { input: 'Hi' },
  });
  expect(problemOf('{"messages":[]}', { number: 1, format: 'jsonl', composition })).toMatch(/takes a `prompt`/);
});
