import type { RequestJob } from '@promptmill/core';
import { noUsage } from '@promptmill/core';
import { expect, it, vi } from 'vitest';
import { createPromptStarts } from './prompt-starts.ts';
import type { Called } from './wanted-request.ts';

const { signal } = new AbortController();
const system = 'You know the mill. '.repeat(300);
const requestOf = (content: string, more: Partial<RequestJob> = {}): RequestJob => ({
  tenant: 'ada',
  batchId: 'batch_1',
  index: 0,
  customId: 'a',
  url: '/v1/chat/completions',
  body: {
    model: 'm',
    messages: [
      { role: 'system', content: system },
      { role: 'user', content },
    ],
  },
  bytes: 6000,
  ...more,
});
const success = (cachedTokens = 1024): Called => ({
  result: {
    kind: 'success',
    statusCode: 200,
    requestId: '',
    json: '{}',
    usage: { ...noUsage, inputTokens: 2000, cachedTokens },
    headers: {},
  },
  callMs: 1,
  hold: undefined,
  upstream: 'lane',
});
const failure = (code: 'bad_request' | 'provider_error'): Called => ({
  result: { kind: 'failure', class: code === 'bad_request' ? 'final' : 'retry', code, message: 'no' },
  callMs: 1,
  hold: undefined,
  upstream: 'lane',
});

/** Calls that go out when they may, and end when they are told. */
const openCalls = () => {
  let nowMs = 0;
  const starts = createPromptStarts({ now: () => nowMs });
  const under: { readonly name: string; readonly end: (called: Called) => void }[] = [];
  return {
    pass: (ms: number) => void (nowMs += ms),
    names: () => under.map(({ name }) => name),
    add: (name: string, request = requestOf(name), until = signal): Promise<Called> =>
      starts.call(request, until, () => new Promise((resolve) => under.push({ name, end: resolve }))),
    async end(name: string, called: Called): Promise<void> {
      const at = under.findIndex((each) => each.name === name);
      under.splice(at, 1)[0]?.end(called);
      await new Promise((resolve) => void setImmediate(resolve));
    },
  };
};

it('the first of those that begin alike goes, and the others once it is answered; then none waits', async () => {
  const calls = openCalls();
  for (const name of ['a', 'b', 'c']) void calls.add(name);
  expect(calls.names()).toEqual(['a']);
  await calls.end('a', success(0));
  expect(calls.names()).toEqual(['b', 'c']);
  void calls.add('d');
  expect(calls.names()).toEqual(['b', 'c', 'd']);
});

it('after some minutes without use one goes first again', async () => {
  const calls = openCalls();
  void calls.add('a');
  await calls.end('a', success(0));
  calls.pass(250_000);
  void calls.add('b');
  await calls.end('b', success());
  calls.pass(250_000);
  void calls.add('c');
  await calls.end('c', success());
  calls.pass(310_000);
  for (const name of ['d', 'e']) void calls.add(name);
  expect(calls.names()).toEqual(['d']);
});

it.each([
  ['another tenant', { tenant: 'bob' }],
  ['another model', { body: { ...requestOf('b').body, model: 'n' } }],
  ['another start', { body: { model: 'm', messages: [{ role: 'user', content: `x${system}` }] } }],
  ['a short line', { bytes: 300 }],
  ['embeddings', { url: '/v1/embeddings' as const }],
  ['a live call', { live: { api: 'api', deadlineMs: 0, isKept: false } }],
])('%s does not wait', (_, more) => {
  const calls = openCalls();
  void calls.add('a');
  void calls.add('b', requestOf('b', more));
  expect(calls.names()).toEqual(['a', 'b']);
});

it('when the first fails, the next goes first; when it is refused for good, all others go', async () => {
  const calls = openCalls();
  for (const name of ['a', 'b', 'c', 'd']) void calls.add(name);
  await calls.end('a', failure('provider_error'));
  expect(calls.names()).toEqual(['b']);
  await calls.end('b', failure('bad_request'));
  expect(calls.names()).toEqual(['c', 'd']);
});

it('a request waits ten seconds at most, and not at all once the first has been away for so long', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const calls = openCalls();
    for (const name of ['a', 'b']) void calls.add(name);
    calls.pass(10_000);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(calls.names()).toEqual(['a', 'b']);
    void calls.add('c');
    expect(calls.names()).toEqual(['a', 'b', 'c']);
  } finally {
    vi.useRealTimers();
  }
});

it('a request that is given up waits no more', async () => {
  const calls = openCalls();
  const giveUp = new AbortController();
  void calls.add('a');
  void calls.add('b', requestOf('b'), giveUp.signal);
  giveUp.abort();
  await expect.poll(calls.names).toEqual(['a', 'b']);
});

it.each([
  ['no answer uses the cache', 0, ['x', 'y']],
  ['answers use it', 1024, ['x']],
])('when %s, requests of the model go on so', async (_, cachedTokens, underWay) => {
  const calls = openCalls();
  const names = Array.from({ length: 21 }, (_each, i) => `a${i}`);
  for (const name of names) void calls.add(name);
  for (const name of names) await calls.end(name, success(name === 'a0' ? 0 : cachedTokens));
  calls.pass(310_000);
  for (const name of ['x', 'y']) void calls.add(name);
  expect(calls.names()).toEqual(underWay);
});
