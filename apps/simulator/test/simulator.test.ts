import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSimulator, type Simulator } from '../src/index.ts';

let simulator: Simulator;
let client: OpenAI;

beforeAll(async () => {
  simulator = await startSimulator({ apiKey: 'key' });
  client = new OpenAI({ baseURL: simulator.url, apiKey: 'key', maxRetries: 0 });
});
afterAll(() => simulator.close());

const ask = (model: string, content: string, more: { max_tokens?: number; n?: number } = {}) =>
  client.chat.completions.create({ model, messages: [{ role: 'user', content }], ...more });

describe('chat completions', () => {
  // Of an enum it takes the value that the length of the prompt chooses.
  test('json matches the schema of its request; a marker makes the first answer, or each, another', async () => {
    const properties = { label: { enum: ['a', 'b'] }, stars: { type: ['integer', 'null'] }, tags: { type: 'array' } };
    const schema = { type: 'object', properties };
    const answerTo = async (...contents: string[]): Promise<unknown> => {
      const answer = await client.chat.completions.create({
        model: 'json',
        messages: contents.map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content })),
        response_format: { type: 'json_schema', json_schema: { name: 'x', schema } },
      });
      return JSON.parse(answer.choices[0]?.message.content ?? '');
    };
    const [right, wrong] = [{ label: 'b', stars: 1, tags: ['text'] }, { wrong: [1] }];
    expect(await answerTo('Rate.')).toEqual(right);
    expect(await answerTo('Rate. [[sim:mismatch=first]]')).toEqual(wrong);
    expect(await answerTo('Rate. [[sim:mismatch=first]]', '{}', 'Again.')).toEqual({ ...right, label: 'a' });
    expect(await answerTo('Rate. [[sim:mismatch=always]]', '{}', 'Again.')).toEqual(wrong);
  });

  test('echo gives the last user message back', async () => {
    const { data, response } = await client.chat.completions
      .create({
        model: 'echo',
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'First' },
          { role: 'assistant', content: 'Yes?' },
          { role: 'user', content: [{ type: 'text', text: 'Grüße 😀' }] },
        ],
      })
      .withResponse();
    expect(data).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion',
      model: 'echo',
      choices: [
        { index: 0, message: { role: 'assistant', content: 'Grüße 😀', refusal: null }, finish_reason: 'stop' },
      ],
      usage: { prompt_tokens: 8, completion_tokens: 2, total_tokens: 10 },
    });
    expect(response.headers.get('x-request-id')).toMatch(/^req_/);
    expect(Math.abs(data.created - Date.now() / 1000)).toBeLessThan(5);
  });

  test('any other model always gives the same answer to a prompt', async () => {
    const [first, again, other] = await Promise.all([ask('gpt-9', 'A'), ask('gpt-9', 'A'), ask('gpt-9', 'B')]);
    expect(again.choices).toEqual(first.choices);
    expect(other.choices).not.toEqual(first.choices);
    expect(again.id).not.toBe(first.id);
  });

  test('max_tokens cuts the answer, n multiplies it', async () => {
    const { choices, usage } = await ask('large', 'Tell me a story', { max_tokens: 3, n: 2 });
    expect(choices.map(({ index, finish_reason }) => [index, finish_reason])).toEqual([
      [0, 'length'],
      [1, 'length'],
    ]);
    expect(usage?.completion_tokens).toBe(6);
  });

  test('streams the same text, and the usage when it is asked for', async () => {
    const body = { model: 'large', messages: [{ role: 'user' as const, content: 'Tell me a story' }] };
    const whole = await client.chat.completions.create(body);
    const stream = await client.chat.completions.create({
      ...body,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
    expect(text).toBe(whole.choices[0]?.message.content);
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop');
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage });
  });
});

describe('completions', () => {
  test('answer each prompt', async () => {
    const completion = await client.completions.create({ model: 'reverse', prompt: ['abc', 'def'] });
    expect(completion.choices.map(({ text }) => text)).toEqual(['cba', 'fed']);
    expect(completion.object).toBe('text_completion');
  });

  test('stream', async () => {
    const stream = await client.completions.create({ model: 'echo', prompt: 'A text of some length', stream: true });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.text;
    expect(text).toBe('A text of some length');
  });
});

describe('images', () => {
  test('are PNGs of the size asked for, and tell their tokens', async () => {
    const { data, usage } = await client.images.generate({ model: 'image', prompt: 'A mill', size: '64x32', n: 2 });
    const [first, second] = (data ?? []).map(({ b64_json: text = '' }) => Buffer.from(text, 'base64'));
    // The size is in the header chunk. Source: https://www.w3.org/TR/png-3/#11IHDR
    expect([first?.toString('latin1', 1, 4), first?.readUInt32BE(16), first?.readUInt32BE(20)]).toEqual([
      'PNG',
      64,
      32,
    ]);
    expect(second).not.toEqual(first);
    expect(usage).toMatchObject({ input_tokens: 2, output_tokens: 200, output_tokens_details: { image_tokens: 200 } });
  });

  test('are edited by a JSON body that names others', async () => {
    const edit = (body: object): Promise<OpenAI.ImagesResponse> => client.post('/images/edits', { body });
    const body = { model: 'image', prompt: 'A mill by night', images: [{ image_url: 'data:image/png;base64,AA==' }] };
    expect(await edit(body)).toMatchObject({ data: [{ b64_json: expect.any(String) }], size: '8x8' });
    await expect(edit({ ...body, images: [] })).rejects.toMatchObject({ status: 400, param: 'images' });
    await expect(edit({ ...body, size: '9999x9' })).rejects.toMatchObject({ status: 400, param: 'size' });
  });
});

describe('embeddings', () => {
  test('are unit vectors of the dimensions asked for, the same as floats and as base64', async () => {
    const body = { model: 'embed', input: ['one', 'two'], dimensions: 5 };
    const floats = await client.embeddings.create({ ...body, encoding_format: 'float' });
    // Without a format the SDK asks for base64 and decodes it.
    const decoded = await client.embeddings.create(body);
    const vectors = floats.data.map(({ embedding }) => embedding);
    expect(vectors.map((vector) => vector.length)).toEqual([5, 5]);
    expect(Math.hypot(...vectors[0]!)).toBeCloseTo(1);
    expect(vectors[0]).not.toEqual(vectors[1]);
    expect(decoded.data.map(({ embedding }) => embedding)).toEqual(vectors);
    expect(floats.usage).toEqual({ prompt_tokens: 2, total_tokens: 2 });
  });

  test('base64 is sent as such', async () => {
    const { data } = await client.embeddings.create({ model: 'embed', input: 'one', encoding_format: 'base64' });
    expect(Buffer.from(String(data[0]?.embedding), 'base64')).toHaveLength(8 * 4);
  });
});

test('a call for embeddings carries 2048 inputs and 300,000 tokens at most', async () => {
  const embed = (inputs: number, text = 'a') =>
    client.embeddings.create({ model: 'embed', input: Array.from({ length: inputs }, () => text), dimensions: 1 });
  expect((await embed(2048)).data).toHaveLength(2048);
  await expect(embed(2049)).rejects.toMatchObject({ status: 400, param: 'input' });
  await expect(embed(31, 'word'.repeat(10_000))).rejects.toMatchObject({ status: 400, param: 'input' });
});

test('the start of a prompt is cached once a call with it is answered, where that is on', async () => {
  const cachedOf = async (question: string): Promise<number | undefined> => {
    const messages = [
      { role: 'system', content: 'word'.repeat(1100) } as const,
      { role: 'user', content: question } as const,
    ];
    const { usage } = await client.chat.completions.create({ model: 'echo', messages });
    return usage?.prompt_tokens_details?.cached_tokens;
  };
  expect([await cachedOf('one'), await cachedOf('two')]).toEqual([0, 0]);
  simulator.configure({ promptCache: true, latency: { kind: 'fixed', ms: 20 } });
  expect(await Promise.all([cachedOf('three'), cachedOf('four')])).toEqual([0, 0]);
  expect(await cachedOf('five')).toBe(1024);
  simulator.configure({ promptCache: false, latency: { kind: 'fixed', ms: 0 } });
});

describe('responses', () => {
  test('answer a text and a list of messages', async () => {
    const fromText = await client.responses.create({ model: 'echo', input: 'Hello', instructions: 'Be brief.' });
    expect(fromText).toMatchObject({ object: 'response', status: 'completed', output_text: 'Hello' });
    expect(fromText.usage).toMatchObject({ input_tokens: 4, output_tokens: 2, total_tokens: 6 });
    const fromMessages = await client.responses.create({
      model: 'echo',
      input: [{ role: 'user', content: [{ type: 'input_text', text: 'Hello again' }] }],
    });
    expect(fromMessages.output_text).toBe('Hello again');
  });

  test('max_output_tokens leaves the response incomplete', async () => {
    const response = await client.responses.create({ model: 'echo', input: 'A longer text', max_output_tokens: 1 });
    expect(response).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output_text: 'A lo',
    });
  });

  test('stream from response.created to response.completed', async () => {
    const events = [];
    for await (const event of await client.responses.create({ model: 'echo', input: 'Hello', stream: true })) {
      events.push(event);
    }
    expect(events.map(({ type }) => type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    expect(events.at(-1)).toMatchObject({ response: { output: [{ content: [{ text: 'Hello' }] }] } });
    const { output_text: text } = await client.responses.stream({ model: 'echo', input: 'Hello' }).finalResponse();
    expect(text).toBe('Hello');
  });
});

test('moderations have a result for each text', async () => {
  const moderation = await client.moderations.create({ model: 'moderate', input: ['one', 'two'] });
  expect(moderation.results.map(({ flagged }) => flagged)).toEqual([false, false]);
  expect(moderation.results[0]?.category_scores.violence).toBeLessThan(0.01);
  const flagged = await client.moderations.create({ model: 'moderate', input: '[[sim:fault=content-filter]]' });
  expect(flagged.results[0]).toMatchObject({ flagged: true, categories: { violence: true, hate: false } });
});

test('models are listed', async () => {
  const models = await client.models.list();
  expect(models.data.map(({ id }) => id)).toEqual(
    expect.arrayContaining(['echo', 'reverse', 'json', 'small', 'large']),
  );
});

describe('errors in OpenAI’s shape', () => {
  test('a wrong key', async () => {
    const stranger = client.withOptions({ apiKey: 'wrong' });
    const failure = { status: 401, code: 'invalid_api_key', type: 'invalid_request_error' };
    await expect(stranger.models.list()).rejects.toMatchObject(failure);
    await expect(stranger.embeddings.create({ model: 'embed', input: 'a' })).rejects.toMatchObject(failure);
  });

  test('the model `missing`', async () => {
    await expect(ask('missing', 'Hi')).rejects.toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
  });

  test.each([
    ['/chat/completions', { messages: [{ role: 'user', content: 'Hi' }] }, 'model'],
    ['/chat/completions', { model: 'echo' }, 'messages'],
    ['/chat/completions', { model: 'echo', messages: [] }, 'messages'],
    ['/chat/completions', { model: 'echo', messages: [null] }, 'messages'],
    ['/chat/completions', { model: 'echo', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 0 }, 'max_tokens'],
    ['/completions', { model: 'echo', prompt: {} }, 'prompt'],
    ['/embeddings', { model: 'embed', input: 'a', dimensions: 1.5 }, 'dimensions'],
    ['/embeddings', { model: 'embed', input: ['a', ''] }, 'input'],
    ['/responses', { model: 'echo' }, 'input'],
    ['/moderations', { model: 'moderate', input: 5 }, 'input'],
  ])('POST %s %j names the parameter', async (path, body, param) => {
    await expect(client.post(path, { body })).rejects.toMatchObject({ status: 400, param });
  });

  test('a body that is no JSON, and an unknown path', async () => {
    const headers = { authorization: 'Bearer key' };
    const broken = await fetch(`${simulator.url}/embeddings`, { method: 'POST', headers, body: '{"model":' });
    expect([broken.status, await broken.json()]).toMatchObject([400, { error: { code: 'invalid_json' } }]);
    await expect(client.get('/nowhere')).rejects.toMatchObject({ status: 404, type: 'invalid_request_error' });
  });
});

test('a body over the limit is answered 413', async () => {
  await using small = await startDisposable({ maxBodyBytes: 1000 });
  const client = new OpenAI({ baseURL: small.simulator.url, apiKey: 'any', maxRetries: 0 });
  const input = 'x'.repeat(200_000);
  await expect(client.embeddings.create({ model: 'embed', input })).rejects.toMatchObject({
    status: 413,
    code: 'request_too_large',
  });
});

test('options that make no sense are refused before anything is opened', async () => {
  await expect(startSimulator({ errorRate: 2 })).rejects.toMatchObject({ code: 'invalid_behaviour' });
});

async function startDisposable(options: Parameters<typeof startSimulator>[0]) {
  const simulator = await startSimulator(options);
  return { simulator, [Symbol.asyncDispose]: () => simulator.close() };
}
