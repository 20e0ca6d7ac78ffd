import OpenAI, { APIError } from 'openai';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type Stack, startStack } from '../support/stack.ts';

let stack: Stack;
/** The official SDK, which calls the provider through Promptmill. */
let client: OpenAI;
/** The same SDK with nothing between it and the provider. */
let direct: OpenAI;

const configuration = `
providers:
  simulator: {}
tenants:
  local: { models: [simulator] }
defaultProvider: simulator
retry: { attempts: 6, baseDelayMs: 20, maxDelayMs: 100 }
`;

beforeAll(async () => {
  stack = await startStack({ redisUrl: inject('redisUrl'), files: { 'promptmill.yaml': configuration } });
  client = stack.client;
  direct = new OpenAI({ baseURL: `${stack.simulator.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterAll(() => stack.stop());

/** An answer without what differs between two calls. */
const withoutIds = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, item: unknown) => (/^(id|created|created_at)$/.test(key) ? undefined : item)));

const chat = (content: string, model = 'simulator/echo') => ({
  model,
  messages: [{ role: 'user' as const, content }],
});

const errorOf = async (call: Promise<unknown>): Promise<APIError> => {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof APIError) return error;
  throw new Error('the call did not fail', { cause: error });
};

const listOf = async <T>(stream: AsyncIterable<T>): Promise<T[]> => {
  const events: T[] = [];
  for await (const event of stream) events.push(event);
  return events;
};

describe('an answer is the provider’s own', () => {
  it('in chat completions', async () => {
    const { data, response } = await client.chat.completions.create(chat('Hello')).withResponse();
    expect(withoutIds(data)).toEqual(withoutIds(await direct.chat.completions.create(chat('Hello', 'echo'))));
    const own = response.headers.get('x-request-id');
    expect(own).toMatch(/^req_/);
    expect(response.headers.get('x-provider-request-id')).toMatch(/^req_/);
    expect(response.headers.get('x-provider-request-id')).not.toBe(own);
    expect(Number(response.headers.get('x-promptmill-wait-ms'))).toBeLessThan(5000);
  });

  it('in completions, embeddings, responses, moderations and images', async () => {
    const of = async ({ completions, embeddings, responses, moderations, images }: OpenAI, model: string) => [
      await completions.create({ model, prompt: 'Hello' }),
      await embeddings.create({ model, input: ['Hello', 'world'] }),
      await responses.create({ model, input: 'Hello' }),
      await moderations.create({ model, input: 'Hello' }),
      await images.generate({ model, prompt: 'Hello', size: '1024x1024' }),
    ];
    expect(withoutIds(await of(client, 'simulator/echo'))).toEqual(withoutIds(await of(direct, 'echo')));
  });

  it('in edits of images, whose body is JSON', async () => {
    const body = { model: 'simulator/echo', prompt: 'Hello', images: [{ image_url: 'data:image/png;base64,AA==' }] };
    const edited = await client.post<OpenAI.ImagesResponse>('/images/edits', { body });
    expect(edited.data).toEqual([{ b64_json: expect.any(String) as string }]);
    const image = new File(['x'], 'image.png', { type: 'image/png' });
    const error = await errorOf(client.images.edit({ model: 'simulator/echo', prompt: 'Hello', image }));
    expect(error).toMatchObject({ status: 415, message: expect.stringContaining('JSON') as string });
  });

  it('where an endpoint without streams is asked for one', async () => {
    const body = { model: 'echo', input: 'Hello', stream: true };
    const { data } = await client.embeddings.create(body);
    expect(data).toHaveLength(1);
  });

  it('with a model of the default provider', async () => {
    expect((await client.chat.completions.create(chat('Hello', 'echo'))).model).toBe('echo');
  });

  it('streamed, event by event', async () => {
    const body = { ...chat('One two three four five six'), stream: true } as const;
    const [ours, theirs] = [
      await listOf(await client.chat.completions.create(body)),
      await listOf(await direct.chat.completions.create({ ...body, model: 'echo' })),
    ];
    // The usage was asked for, and each event says that it is not there yet.
    expect(withoutIds(ours.map(({ usage: _usage, ...chunk }) => chunk))).toEqual(withoutIds(theirs));
    const responses = { model: 'simulator/echo', input: 'One two three', stream: true } as const;
    const types = async (stream: AsyncIterable<{ type: string }>) => (await listOf(stream)).map(({ type }) => type);
    expect(await types(await client.responses.create(responses))).toEqual(
      await types(await direct.responses.create({ ...responses, model: 'echo' })),
    );
  });

  it('with the usage of a stream only where it was asked for', async () => {
    const body = { ...chat('Hello'), stream: true } as const;
    const usages = (chunks: OpenAI.ChatCompletionChunk[]) => chunks.filter(({ usage }) => usage);
    expect(usages(await listOf(await client.chat.completions.create(body)))).toEqual([]);
    const asked = { ...body, stream_options: { include_usage: true } };
    expect(usages(await listOf(await client.chat.completions.create(asked)))).toHaveLength(1);
  });
});

describe('a failure', () => {
  it('that is the request’s is answered as the provider answered it', async () => {
    const prompt = chat('[[sim:status=400]]');
    const [ours, theirs] = [
      await errorOf(client.chat.completions.create(prompt)),
      await errorOf(direct.chat.completions.create({ ...prompt, model: 'echo' })),
    ];
    expect([ours.status, ours.error]).toEqual([theirs.status, theirs.error]);
  });

  it.each(['429;retry-after-ms=50;times=2', '503;times=2', '500;times=1'])(
    'that passes is waited out: %s',
    async (fault) => {
      const { choices } = await client.chat.completions.create(chat(`[[sim:status=${fault}]] Hello`));
      expect(choices[0]?.message.content).toContain('Hello');
    },
  );

  it('that does not pass is answered when the caller stops waiting, and says not to try again', async () => {
    const options = { headers: { 'x-promptmill-timeout': '1' } };
    const error = await errorOf(client.chat.completions.create(chat('[[sim:status=503;times=1000]]'), options));
    expect(error.status).toBe(503);
    expect(error.headers?.get('x-should-retry')).toBe('false');
  });

  it('of a model that the tenant may not use has OpenAI’s shape', async () => {
    const error = await errorOf(client.chat.completions.create(chat('Hello', 'xai/grok-4.3')));
    expect(error).toMatchObject({ status: 403, code: 'model_not_allowed', param: 'model' });
  });

  it('is a 504 where there was no answer in time', async () => {
    const options = { headers: { 'x-promptmill-timeout': '0.5' } };
    const error = await errorOf(client.chat.completions.create(chat('[[sim:latency=60000]]'), options));
    expect(error).toMatchObject({ status: 504, code: 'request_timeout' });
  });
});
