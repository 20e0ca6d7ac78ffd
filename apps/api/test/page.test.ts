import { request as httpRequest } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { keyless, startTestApi, type TestApi } from './support/test-api.ts';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi({ redisUrl: inject('redisUrl') });
});
afterAll(() => api.close());

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  /** As it came over the connection: not decompressed. */
  readonly bytes: Buffer;
}

const get = (path: string, headers: Readonly<Record<string, string>> = {}, url = api.url): Promise<Answer> =>
  new Promise((resolve, reject) => {
    httpRequest(url + path, { headers, agent: false }, (response) => {
      buffer(response).then(
        (bytes) => resolve({ status: response.statusCode, headers: response.headers, bytes }),
        reject,
      );
    })
      .on('error', reject)
      .end();
  });

const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

const documentOf = async (url?: string): Promise<string> => (await get('/', browser, url)).bytes.toString();
const filesOf = (html: string): string[] =>
  [...html.matchAll(/(?:href|src)="(\/page\/[^"]+)"/g)].map(([, path = '']) => path);

describe('the page at /', () => {
  it('is for browsers: who asks for JSON gets none', async () => {
    const page = await get('/', browser);
    expect(page.status).toBe(200);
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    const answer = await get('/', { accept: 'application/json' });
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.bytes.toString())).toMatchObject({ error: { code: 'unknown_url' } });
  });

  it('may run its own scripts and call its own api, and nothing else', async () => {
    const { headers } = await get('/', browser);
    const policy = headers['content-security-policy'];
    expect(policy).toMatch(
      /^default-src 'none';script-src 'self' 'sha256-[\w+/=]+';style-src 'self';connect-src 'self';/,
    );
    for (const closed of ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"])
      expect(policy).toContain(closed);
    expect(policy).not.toContain('unsafe');
  });

  it('says whether a key is wanted, and whether there is a Bull Board', async () => {
    expect(await documentOf()).toContain('data-key="wanted" data-board="yes"');
    const open = await startTestApi({ redisUrl: inject('redisUrl'), env: keyless });
    expect(await documentOf(open.url)).toContain('data-key="none" data-board="yes"');
    await open.close();
  });

  it('loads nothing from elsewhere, and at most 150 kB', async () => {
    const html = await documentOf();
    expect(html).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
    const imported = [...html.matchAll(/":"(\/page\/[^"]+)"/g)].map(([, path = '']) => path);
    const paths = new Set([...filesOf(html), ...imported]);
    expect(paths.size).toBeGreaterThan(30);
    let sum = 0;
    for (const path of paths) {
      const file = await get(path, { 'accept-encoding': 'gzip, br' });
      expect([path, file.status, file.headers['content-encoding']]).toEqual([path, 200, 'br']);
      sum += file.bytes.length;
    }
    expect(sum).toBeLessThan(150_000);
  });

  it('sends modules without their types, and style sheets, as what they are', async () => {
    const paths = filesOf(await documentOf());
    const main = await get(paths.find((path) => path.includes('/main.')) ?? '');
    expect(main.headers['content-type']).toBe('text/javascript; charset=utf-8');
    expect(main.headers['content-encoding']).toBeUndefined();
    expect(main.bytes.toString()).not.toContain('error: unknown');
    const styles = await get(paths.find((path) => path.endsWith('.css')) ?? '');
    expect(styles.headers['content-type']).toBe('text/css; charset=utf-8');
    expect(styles.bytes.toString()).toContain('prefers-color-scheme: dark');
  });

  it('is kept by browsers: the document is asked for again, its files never', async () => {
    const page = await get('/', browser);
    expect(page.headers['cache-control']).toBe('no-cache');
    const again = await get('/', { ...browser, 'if-none-match': page.headers.etag ?? '' });
    expect([again.status, again.bytes.length]).toEqual([304, 0]);
    const [path = ''] = filesOf(page.bytes.toString());
    expect((await get(path)).headers['cache-control']).toBe('public, max-age=31536000, immutable');
  });

  it('has no other files', async () => {
    const [path = ''] = filesOf(await documentOf());
    const folder = path.split('/').slice(0, 3).join('/');
    for (const other of [
      '/apps/page/package.json',
      '/../package.json',
      '/apps/page/src/html.test.ts',
      '/packages/core/src/index.ts',
    ])
      expect((await get(folder + other)).status).toBe(404);
    expect((await get('/page/0000000000000000/page.css')).status).toBe(404);
  });
});
