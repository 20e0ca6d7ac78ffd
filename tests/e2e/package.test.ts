import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

let folder: string;
const path = (name: string): string => join(folder, name);

/** What a fresh machine has: npm's settings, and nothing in the home folder or npm's cache. */
const freshEnv = (): NodeJS.ProcessEnv => {
  const { REDIS_URL: _redis, NODE_COMPILE_CACHE: _cache, ...rest } = process.env;
  return { ...rest, HOME: path('home'), npm_config_cache: path('cache') };
};

const start = (command: string, args: readonly string[], { cwd = path('empty'), env = {} } = {}) => {
  const child = spawn(command, args, { cwd, env: { ...freshEnv(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => (texts[name] += text));
  const ended = once(child, 'close').then(([exit]) => ({ exit: exit as number | null, ...texts }));
  return { child, ended, texts };
};

/** @throws when the command fails. */
const run = async (...parameters: Parameters<typeof start>): Promise<void> => {
  const { exit, stderr } = await start(...parameters).ended;
  if (exit !== 0) throw new Error(`${parameters[0]} ended with ${exit}: ${stderr}`);
};
const promptmill = (...args: readonly string[]) => run('npx', ['--offline', 'promptmill', ...args]);

const linesOf = (name: string): { readonly response: { readonly body: unknown } }[] =>
  readFileSync(path(`empty/${name}`), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

const listening = async (child: ChildProcess, texts: { readonly stderr: string }): Promise<string> => {
  const { stderr: stream } = child;
  for (;;) {
    const url = /listens at (\S+)\/v1/.exec(texts.stderr)?.[1];
    if (url !== undefined) return url;
    if (child.exitCode !== null || !stream) throw new Error(`the server does not start: ${texts.stderr}`);
    await Promise.race([once(stream, 'data'), once(child, 'close')]);
  }
};

const post = async (url: string, body: unknown): Promise<unknown> => {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return response.json();
};

describe('the package that npm pack makes', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'promptmill-package-'));
    for (const name of ['home', 'cache', 'empty']) await mkdir(path(name));
    await run('npm', ['pack', '--pack-destination', folder], { cwd: root });
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '';
    await writeFile(path('empty/package.json'), '{}');
    await run('npm', ['install', '--no-audit', '--no-fund', path(tarball)]);
  });
  afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

  it('leaves nothing built in the checkout, and holds no TypeScript and no tests', () => {
    expect(existsSync(join(root, 'dist'))).toBe(false);
    const names = readdirSync(path('empty/node_modules/promptmill'), { recursive: true }).map(String);
    expect(names).toContain('dist/packages/queue/src/results/record-results.lua');
    expect(names.filter((name) => /\.ts$|\.test\.|\.env/.test(name))).toEqual([]);
  });

  it('runs a file of prompts without a checkout', async () => {
    const input = 'node_modules/promptmill/examples/prompts.txt';
    await promptmill('run', input, '--model', 'simulator/echo', '-o', 'results.jsonl');
    const prompts = readFileSync(join(root, 'examples/prompts.txt'), 'utf8').trimEnd().split('\n');
    expect(linesOf('results.jsonl').map(({ response }) => response.body)).toMatchObject(
      prompts.map((prompt) => ({ choices: [{ message: { content: prompt } }] })),
    );
  });

  it('serves, has the page, checks schemas in another process, and counts tokens in another thread', async () => {
    const { child, ended, texts } = start('node_modules/.bin/promptmill', ['serve', '--simulator'], {
      env: { PORT: '0', LOG_LEVEL: 'warn' },
    });
    const url = await listening(child, texts);
    const prompts = { model: 'simulator/json', prompts: ['One.', 'Two.'] };
    const estimate = await post(`${url}/v1/batches/estimate`, prompts);
    expect(estimate).toMatchObject({ requests: 2 });
    const schema = '{"type": "object", "properties": {"stars": {"type": "integer"}}, "required": ["stars"]}';
    await writeFile(path('empty/asked.txt'), 'How many?\n');
    await run(
      'npx',
      ['--offline', 'promptmill', 'submit', 'asked.txt', '-m', 'simulator/json', '--schema', schema, '--wait'],
      { env: { PROMPTMILL_URL: url } },
    );
    const document = await (await fetch(url, { headers: { accept: 'text/html' } })).text();
    const [, main = ''] = /src="(\/page\/[^"]+)"/.exec(document) ?? [];
    expect(main).toMatch(/\/main\.js$/);
    for (const page of [main, '/docs', '/admin/queues']) expect((await fetch(`${url}${page}`)).status).toBe(200);
    child.kill('SIGTERM');
    expect(await ended).toMatchObject({ exit: 0 });
  });

  it('says which Node it needs on an older one', async () => {
    await mkdir(path('old'));
    await writeFile(path('old/node'), '#!/bin/sh\necho v20.20.2\n');
    await chmod(path('old/node'), 0o755);
    const { exit, stderr } = await start('node_modules/.bin/promptmill', ['--help'], {
      env: { PATH: `${path('old')}:${process.env['PATH']}` },
    }).ended;
    expect(exit).toBe(1);
    expect(stderr).toContain('needs Node.js 24 or newer, and this is 20.20.2');
  });
});
