import type { RequestListener } from 'node:http';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { keys } from '../../apps/api/test/support/test-api.ts';
import { type LiveSpace, startLiveSpace } from '../support/live-space.ts';

const mib = 2 ** 20;
const timeoutMs = 1500;

let space: LiveSpace;
beforeAll(async () => {
  space = await startLiveSpace({ provider: { timeoutMs } });
});
afterAll(() => space.close());

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** A caller who waits so long gets an answer that comes at once, and one who waits shortly an error that may pass. */
const [long, short] = [30, 0.4];

const call = async (
  answer: RequestListener,
  {
    patience = long,
    at = space,
    ...more
  }: { readonly patience?: number; readonly at?: LiveSpace; readonly stream?: true } = {},
): Promise<Answer> => {
  at.provider.answerWith(answer);
  const response = await fetch(`${at.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${keys.alice}`,
      'content-type': 'application/json',
      'x-promptmill-timeout': String(patience),
    },
    body: JSON.stringify({ model: 'lab/any', messages: [{ role: 'user', content: 'Hi' }], ...more }),
    redirect: 'manual',
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
};

const completionOf = (content: string): string =>
  JSON.stringify({
    id: 'c1',
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
  });
const completion = completionOf('Bonjour');

/** Answers with these bytes after the status line. */
const raw =
  (status: string, head: readonly string[], body = ''): RequestListener =>
  ({ socket }) => {
    const lines = [`HTTP/1.1 ${status}`, ...head, `content-length: ${Buffer.byteLength(body)}`, 'connection: close'];
    socket.end(Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`));
  };

const json =
  (status: number, body: string, type = 'application/json'): RequestListener =>
  (_request, response) =>
    void response.writeHead(status, { 'content-type': type }).end(body);

/** Fails unless the answer is an error in OpenAI's shape with this status. */
const expectError = ({ status, text }: Answer, expected: number, code?: string): void => {
  expect(status).toBe(expected);
  const { error } = JSON.parse(text) as { error: Record<string, unknown> };
  expect(error).toMatchObject({ message: expect.stringMatching(/./), type: expect.any(String) });
  if (code !== undefined) expect(error['code']).toBe(code);
};

const jsonHead = 'content-type: application/json';

describe('headers', () => {
  it.each([
    ['a character beyond Latin-1', 'x-request-id: req-€'],
    ['bytes that are no UTF-8', 'x-request-id: \xff\xfe'],
    ['tabs', 'x-request-id: a\tb'],
    ['60 KiB', `x-request-id: ${'a'.repeat(10_000)}`],
    ['a character beyond Latin-1 in a useful one', 'openai-version: 2020-10-01 €'],
    ['a very long useful one', `openai-processing-ms: ${'1'.repeat(10_000)}`],
  ])('that cannot be passed on are left out: %s', async (_name, header) => {
    const answer = await call(raw('200 OK', [jsonHead, header], completion));
    expect([answer.status, answer.text]).toEqual([200, completion]);
    expect(JSON.stringify([...answer.headers]).length).toBeLessThan(3000);
  });

  it('of a stream that cannot be passed on are left out', async () => {
    const head = ['content-type: text/event-stream', 'x-request-id: req-€'];
    const event = `data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n`;
    const answer = await call(raw('200 OK', head, `${event}data: [DONE]\n\n`), { stream: true });
    expect([answer.status, answer.text]).toEqual([200, `${event}data: [DONE]\n\n`]);
  });

  it('that are too many to read are a provider that cannot be read', async () => {
    expectError(
      await call(raw('200 OK', [jsonHead, `x-a: ${'a'.repeat(100_000)}`], completion), { patience: short }),
      502,
    );
  });

  it('with control characters are a provider that cannot be read', async () => {
    expectError(
      await call(raw('200 OK', [jsonHead, 'x-request-id: a\u0001b\u0000c'], completion), { patience: short }),
      502,
    );
  });
});

describe('a status', () => {
  it.each([301, 304, 307, 399])('that sends callers elsewhere is not passed on: %d', async (status) => {
    const answer = await call(raw(`${status} Moved`, ['location: http://127.0.0.1:1/']));
    expectError(answer, 502);
    expect(answer.headers.get('location')).toBeNull();
  });

  it.each([600, 999])('that is none is not passed on: %d', async (status) => {
    expectError(await call(raw(`${status} Odd`, [jsonHead], '{"error":{"message":"odd"}}'), { patience: short }), 502);
  });

  it.each([204, 205])('of success without an answer is a failure: %d', async (status) => {
    expectError(await call(raw(`${status} Nothing`, []), { patience: short }), 502, 'invalid_answer');
  });
});

describe('an error', () => {
  it.each([
    ['a page of HTML', '<h1>no</h1>'],
    ['nothing', ''],
    ['null', 'null'],
    ['a list', '[1]'],
    ['a number', '7'],
    ['an error that is null', '{"error":null}'],
    ['an error that is a text', '{"error":"no"}'],
    ['other JSON', '{"detail":[{"msg":"no"}]}'],
    ['a very long text', 'no'.repeat(mib)],
    ['JSON that is very deep', `${'['.repeat(50_000)}${']'.repeat(50_000)}`],
  ])('is told in OpenAI’s shape: %s', async (_name, body) => {
    const answer = await call(json(400, body, 'text/html'));
    expectError(answer, 400);
    expect(answer.headers.get('content-type')).toContain('application/json');
  });
});

describe('an answer', () => {
  it('of nearly 64 MiB is passed on', async () => {
    const large = completionOf('x'.repeat(63 * mib));
    const answer = await call(json(200, large));
    expect([answer.status, answer.text.length]).toEqual([200, large.length]);
  });

  it('of more is refused at once', async () => {
    const before = space.provider.calls.length;
    expectError(await call(json(200, completionOf('x'.repeat(65 * mib)))), 502, 'answer_too_large');
    expect(space.provider.calls.length).toBe(before + 1);
  });

  it('that nests too deep is refused', async () => {
    const deep = `${'['.repeat(5000)}${']'.repeat(5000)}`;
    expectError(await call(json(200, completion.replace('"stop"', deep))), 502, 'answer_not_storable');
  });

  it.each([
    ['a page', '<h1>Welcome</h1>', 'text/html'],
    ['half of it', completion.slice(0, 50), 'application/json'],
    ['nothing', '', 'application/json'],
  ])('that is none is a failure: %s', async (_name, body, type) => {
    expectError(await call(json(200, body, type), { patience: short }), 502, 'invalid_answer');
  });
});

describe('a stream', () => {
  const events: RequestListener = (_request, response) =>
    void response.writeHead(200, { 'content-type': 'text/event-stream' });
  const chunk = (content: string): string =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;
  const done = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';

  it('of events of 10 MiB is passed on', async () => {
    const text = `${chunk('x'.repeat(10 * mib))}${chunk('y'.repeat(10 * mib))}${done}`;
    const patient = await startLiveSpace();
    onTestFinished(() => patient.close());
    const answer = await call(
      (request, response) => {
        events(request, response);
        response.end(text);
      },
      { at: patient, stream: true },
    );
    expect([answer.status, answer.text === text]).toEqual([200, true]);
  });

  it.each([
    ['events', chunk('on and on ')],
    ['comments', ': still here\n\n'],
    ['one line', 'x'.repeat(1000)],
  ])('that never ends is ended with an error: %s', async (_name, piece) => {
    const answer = await call(
      (request, response) => {
        events(request, response);
        response.write(chunk('first'));
        const timer = setInterval(() => response.write(piece), 20);
        response.on('close', () => clearInterval(timer));
      },
      { stream: true },
    );
    expect(answer.status).toBe(200);
    expect(answer.text.startsWith(chunk('first'))).toBe(true);
    const last = answer.text.trimEnd().split('\n\n').at(-1) ?? '';
    expect(JSON.parse(last.slice('data: '.length))).toMatchObject({ error: { message: expect.any(String) } });
  });

  it('of more than 64 MiB is ended with an error', async () => {
    const large = chunk('x'.repeat(mib));
    const answer = await call(
      (request, response) => {
        events(request, response);
        // A caller who reads slower than this is given up.
        const timer = setInterval(() => response.write(large), 5);
        response.on('close', () => clearInterval(timer));
      },
      { stream: true },
    );
    expect(answer.text.slice(-1000)).toContain('"error"');
  });

  it.each([
    ['no JSON', 'data: {"choices":\n\n'],
    ['an error', 'data: {"error":{"message":"out of memory","code":"oom"}}\n\n'],
  ])('with an event that is %s ends with an error', async (_name, event) => {
    const answer = await call(
      (request, response) => {
        events(request, response);
        response.end(chunk('first') + event);
      },
      { stream: true },
    );
    expect(answer.text.startsWith(chunk('first'))).toBe(true);
    expect(answer.text.slice(chunk('first').length)).toMatch(/^data: \{"error":\{"message":"[^\n]*\}\}\n\n$/);
  });
});

it('a provider that sends its answer, and then more, is heard once', async () => {
  const answer = await call(({ socket }) => {
    const text = `HTTP/1.1 200 OK\r\n${jsonHead}\r\ncontent-length: ${completion.length}\r\n\r\n${completion}`;
    socket.write(text + text);
  });
  expect([answer.status, answer.text]).toEqual([200, completion]);
});
