import OpenAI, { AuthenticationError, BadRequestError, NotFoundError, toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Stack, startStack } from '../support/stack.ts';

const key = 'a-key-of-acme';

/** The official client with nothing configured but its address and key. */
describe('an unmodified openai client', () => {
  let stack: Stack;
  let client: OpenAI;

  beforeAll(async () => {
    const env = {
      PROMPTMILL_API_KEYS: `acme:${key},other:a-key-of-another`,
      BOARD_USER: 'ops',
      BOARD_PASSWORD: 'board',
    };
    stack = await startStack({ redisUrl: inject('redisUrl'), env });
    client = new OpenAI({ baseURL: `${stack.api.url}/v1`, apiKey: key });
  });
  afterAll(() => stack.stop());

  const upload = (content: string) =>
    toFile(Buffer.from(content), 'batch.jsonl').then((file) => client.files.create({ file, purpose: 'batch' }));
  const batchOf = async (content: string) => {
    const file = await upload(content);
    const request = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
    return client.batches.create(request);
  };

  it('uploads, creates, polls, and downloads the output and the error file', async () => {
    const input = inputOf(5, (i) => (i === 3 ? '[[sim:status=422]]' : `prompt ${i}`));
    const file = await upload(input);
    expect(file).toMatchObject({ object: 'file', purpose: 'batch', filename: 'batch.jsonl', bytes: input.length });
    const created = await client.batches.create({
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
      metadata: { run: 'nightly' },
    });
    const batch = await untilBatch(client, created.id);
    expect(batch).toMatchObject({
      status: 'completed',
      metadata: { run: 'nightly' },
      request_counts: { total: 5, completed: 4, failed: 1 },
    });
    const output = await (await client.files.content(batch.output_file_id ?? '')).text();
    const errors = await (await client.files.content(batch.error_file_id ?? '')).text();
    const answers = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(answers.map((answer) => answer.custom_id)).toEqual(['request-0', 'request-1', 'request-2', 'request-4']);
    expect(answers[0].response.body.choices[0].message.content).toBe('prompt 0');
    expect(JSON.parse(errors)).toMatchObject({ custom_id: 'request-3', response: { status_code: 422 } });
    const outputFile = await client.files.retrieve(batch.output_file_id ?? '');
    expect(outputFile).toMatchObject({ purpose: 'batch_output', bytes: Buffer.byteLength(output) });
  });

  it('gets images of 4 MB each in the output file', async () => {
    const endpoint = '/v1/images/generations';
    const lines = Array.from({ length: 12 }, (_, i) => {
      const body = { model: 'simulator/image', prompt: `Scene ${i}`, size: '1024x1024' };
      return `${JSON.stringify({ custom_id: `scene-${i}`, method: 'POST', url: endpoint, body })}\n`;
    });
    const { id: input_file_id } = await upload(lines.join(''));
    const { id } = await client.batches.create({ input_file_id, endpoint, completion_window: '24h' });
    const batch = await untilBatch(client, id);
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 12, completed: 12, failed: 0 } });
    expect(batch.usage).toMatchObject({ output_tokens: 1200 });
    const output = await (await client.files.content(batch.output_file_id ?? '')).text();
    const answers = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(answers.map((answer) => answer.custom_id)).toEqual(lines.map((_, i) => `scene-${i}`));
    const images = answers.map((answer) => Buffer.from(answer.response.body.data[0].b64_json, 'base64'));
    for (const image of images) expect(image.length).toBeGreaterThan(3 * 1024 * 1024);
    expect(new Set(images.map((image) => image.toString('latin1', 60, 66))).size).toBe(12);
  });

  it('lists 45 batches page by page, newest first', async () => {
    const file = await upload(inputOf(1));
    const created: string[] = [];
    for (let i = 0; i < 45; i++) {
      const request = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
      created.push((await client.batches.create(request)).id);
    }
    const listed: string[] = [];
    for await (const { id } of client.batches.list({ limit: 10 })) listed.push(id);
    expect(listed.slice(0, 45)).toEqual(created.toReversed());
    expect(new Set(listed).size).toBe(listed.length);
    await Promise.all(created.map((id) => untilBatch(client, id)));
  });

  it('retrieves, lists and deletes files', async () => {
    const file = await upload(inputOf(1));
    expect(await client.files.retrieve(file.id)).toEqual(file);
    expect((await client.files.list({ purpose: 'batch', limit: 1 })).data).toEqual([file]);
    expect(await client.files.delete(file.id)).toEqual({ id: file.id, object: 'file', deleted: true });
    await expect(client.files.retrieve(file.id)).rejects.toThrow(NotFoundError);
  });

  it('gets typed errors', async () => {
    const stranger = new OpenAI({ baseURL: `${stack.api.url}/v1`, apiKey: 'not-a-key' });
    await expect(stranger.batches.list()).rejects.toThrow(AuthenticationError);
    await expect(client.files.retrieve(`file-${'0'.repeat(32)}`)).rejects.toThrow(NotFoundError);
    const request = { endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
    await expect(client.batches.create({ ...request, input_file_id: 'file-none' })).rejects.toThrow(BadRequestError);
    const file = await toFile(Buffer.from(inputOf(1)), 'batch.jsonl');
    await expect(client.files.create({ file, purpose: 'cook' as 'batch' })).rejects.toMatchObject({ param: 'purpose' });
  });

  it("never sees another tenant's files or batches", async () => {
    const other = new OpenAI({ baseURL: `${stack.api.url}/v1`, apiKey: 'a-key-of-another' });
    const batch = await createBatch(other, inputOf(1));
    await expect(client.batches.retrieve(batch.id)).rejects.toThrow(NotFoundError);
    await expect(client.batches.cancel(batch.id)).rejects.toThrow(NotFoundError);
    await expect(client.files.content(batch.input_file_id)).rejects.toThrow(NotFoundError);
    await expect(client.batches.list({ after: batch.id })).rejects.toThrow(/No batch found/);
    await untilBatch(other, batch.id);
  });

  it.each([
    ['a bad line', `${inputOf(1)}{"custom_id": "x"\n`, 'invalid_json_line', 2],
    ['a duplicate custom_id', inputOf(2) + inputOf(1), 'duplicate_custom_id', 3],
    ['an unknown model', inputOf(1).replace('simulator/echo', 'gpt-none'), 'model_not_found', 1],
    ["another endpoint's line", inputOf(1).replace('/v1/chat/completions', '/v1/embeddings'), 'url_mismatch', 1],
    ['an empty file', '\n', 'empty_file', null],
  ])('finds %s when the batch is validated, by line', async (_name, content, code, line) => {
    const batch = await untilBatch(client, (await batchOf(content)).id);
    expect(batch).toMatchObject({ status: 'failed', output_file_id: null, error_file_id: null });
    expect(batch.errors?.data?.[0]).toMatchObject({ code, line });
  });
});
