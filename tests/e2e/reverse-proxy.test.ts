import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Certificate, createCertificate } from '../support/certificate.ts';
import { hasProxy, proxyNames, type ReverseProxy, startReverseProxy } from '../support/reverse-proxy.ts';
import { type Stack, startStack } from '../support/stack.ts';

const apiKey = 'key-behind-a-proxy';
const authorization = `Bearer ${apiKey}`;

const installed = proxyNames.filter(hasProxy);
for (const name of proxyNames.filter((each) => !installed.includes(each)))
  console.warn(`The example for ${name} is not tested: ${name} is not installed`);

it('nginx waits for an answer longer than callers of live calls do', () => {
  const [, seconds] = /proxy_read_timeout (\d+)s;/.exec(readFileSync('deploy/nginx.conf', 'utf8')) ?? [];
  expect(Number(seconds)).toBeGreaterThan(600);
});

describe.runIf(installed.length > 0)('behind a proxy with TLS', () => {
  let certificate: Certificate;
  let stack: Stack;
  const trusted = getCACertificates('default');

  beforeAll(async () => {
    certificate = await createCertificate();
    setDefaultCACertificates([...trusted, readFileSync(certificate.file, 'utf8')]);
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      env: { PROMPTMILL_API_KEYS: `mill:${apiKey}`, BOARD_USER: 'ops', BOARD_PASSWORD: 'open-the-board' },
    });
  });
  afterAll(async () => {
    await stack?.stop();
    setDefaultCACertificates(trusted);
    await certificate?.remove();
  });

  describe.each(installed)('%s', (name) => {
    let proxy: ReverseProxy;
    let client: OpenAI;

    beforeAll(async () => {
      proxy = await startReverseProxy(name, Number(new URL(stack.api.url).port), certificate);
      client = new OpenAI({ baseURL: `${proxy.url}/v1`, apiKey, maxRetries: 0 });
    });
    afterAll(() => proxy?.stop());

    it('a batch runs, and its events come while it does', async () => {
      await stack.control({ latency: { kind: 'fixed', ms: 1000 } });
      const input = inputOf(100, (i) => `Say ${i} ${'x'.repeat(50_000)}`);
      const { id } = await createBatch(client, input);
      const events = await fetch(`${proxy.url}/v1/batches/${id}/events`, { headers: { authorization } });
      const reader = events.body?.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      const readUntil = async (part: string): Promise<void> => {
        while (!text.includes(part)) {
          const { done, value } = (await reader?.read()) ?? { done: true };
          if (done) throw new Error(`the events ended without ${part}`);
          text += value;
        }
      };
      await readUntil('event: progress');
      expect((await client.batches.retrieve(id)).status).not.toBe('completed');
      await readUntil('event: done');
      const batch = await untilBatch(client, id);
      await checkBatch({ ...stack, client }, batch, input);
      await stack.control({ latency: { kind: 'fixed', ms: 0 } });
    });

    it('a live call is streamed as it comes, waits for long, and is given up with its caller', async () => {
      const chat = (content: string) => ({ model: 'simulator/echo', messages: [{ role: 'user' as const, content }] });
      await stack.control({ chunkDelayMs: 100 });
      const timesMs: number[] = [];
      const stream = await client.chat.completions.create({ ...chat('word '.repeat(20)), stream: true });
      for await (const { choices } of stream) if (choices.length > 0) timesMs.push(performance.now());
      expect((timesMs.at(-1) ?? 0) - (timesMs[0] ?? 0)).toBeGreaterThan(300);
      await stack.control({ chunkDelayMs: 0 });

      const answer = await client.chat.completions.create(chat('[[sim:latency=1000]] Slow'));
      expect(answer.choices[0]?.message.content).toContain('Slow');

      const leave = new AbortController();
      const left = client.chat.completions.create(chat('[[sim:latency=60000]]'), { signal: leave.signal });
      const inFlight = async () =>
        ((await (await fetch(`${stack.simulator.url}/control/stats`)).json()) as { inFlight: number }).inFlight;
      await expect.poll(inFlight).toBe(1);
      leave.abort();
      await expect(left).rejects.toThrow('aborted');
      await expect.poll(inFlight).toBe(0);
    });

    it('an upload reaches the api while it is sent', async () => {
      const arriving = join(stack.directory, 'data/store/tmp~');
      const before = new Set(await readdir(arriving));
      const arrives = async (): Promise<boolean> => (await readdir(arriving)).some((each) => !before.has(each));
      const encoder = new TextEncoder();
      const parts = async function* (): AsyncGenerator<Uint8Array> {
        yield encoder.encode('--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\n');
        yield encoder.encode('content-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n');
        yield encoder.encode(inputOf(1000));
        await expect.poll(arrives).toBe(true);
        yield encoder.encode('\r\n--b--\r\n');
      };
      const answer = await fetch(`${proxy.url}/v1/files`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'multipart/form-data; boundary=b' },
        body: ReadableStream.from(parts()),
        duplex: 'half',
      });
      expect(await answer.json()).toMatchObject({ object: 'file', status: 'processed' });
    });

    it('only the API and the page are there', async () => {
      const status = async (route: string): Promise<number> => (await fetch(`${proxy.url}${route}`)).status;
      expect(await Promise.all(['/v1/models', '/v1/batches'].map(status))).toEqual([401, 401]);
      const page = await (await fetch(`${proxy.url}/`)).text();
      const [, styles = ''] = /href="(\/page\/[^"]+\.css)"/.exec(page) ?? [];
      expect(await status(styles)).toBe(200);
      const hidden = ['/metrics', '/livez', '/readyz', '/admin/queues', '/admin/queues/api/queues', '/docs'];
      expect(await Promise.all(hidden.map(status))).toEqual(hidden.map(() => 404));
    });

    it('a caller cannot say where it comes from', async () => {
      let seen: IncomingHttpHeaders = {};
      const api = createServer(({ headers }, response) => {
        seen = headers;
        response.end();
      }).listen(0, '127.0.0.1');
      await once(api, 'listening');
      const before = await startReverseProxy(name, (api.address() as AddressInfo).port, certificate);
      const claims = { 'x-forwarded-for': '10.9.9.9', 'x-forwarded-proto': 'gopher', forwarded: 'for=10.9.9.9' };
      await fetch(`${before.url}/v1/models`, { headers: { ...claims, 'x-forwarded-host': 'evil.example' } });
      expect(seen).toMatchObject({ 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'https' });
      expect(JSON.stringify(seen)).not.toMatch(/10\.9\.9\.9|gopher|evil/);
      await before.stop();
      api.close();
    });
  });
});
