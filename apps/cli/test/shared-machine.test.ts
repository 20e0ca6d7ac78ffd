import { readdirSync, readFileSync, statSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { startTestProvider } from '../../../tests/support/test-provider.ts';
import { type Cli, openCli, until } from './support/cli-process.ts';

let cli: Cli;

beforeEach(async () => {
  cli = await openCli();
});

afterEach(() => cli.close());

/** Every path below a folder that another user may use in any way. */
const openToOthers = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    // The socket has its own test.
    (name) => (statSync(join(folder, name)).mode & 0o077) !== 0,
  );

const statusOf = async (url: string, headers: Record<string, string> = {}): Promise<number> => {
  const answer = await fetch(url, { headers });
  await answer.arrayBuffer();
  return answer.status;
};

describe('what a run opens on a shared machine', () => {
  it('is closed to other users: the api, Bull Board and the simulator', async () => {
    await writeFile(cli.path('prompts.txt'), 'one\ntwo\n');
    const { child, ended, stderr } = cli.start(['run', 'prompts.txt', '-m', 'simulator/echo'], {
      SIMULATOR_LATENCY_MS: '4000',
    });
    const shown = (): RegExpExecArray | null =>
      /watch them at (\S+)\/admin\/queues \(user (\S+), password (\S+)\)/.exec(stderr());
    await until('the run says where to watch it', () => shown() !== null || child.exitCode !== null);
    const [, url = '', user = '', password = ''] = shown() ?? [];
    expect(await statusOf(`${url}/v1/batches`)).toBe(401);
    expect(await statusOf(`${url}/v1/batches`, { authorization: 'Bearer none' })).toBe(401);
    expect(await statusOf(`${url}/admin/queues`)).toBe(401);
    const login = Buffer.from(`${user}:${password}`).toString('base64');
    expect(await statusOf(`${url}/admin/queues`, { authorization: `Basic ${login}` })).toBe(200);

    const simulator = /^configuration: none; calls go to (127\.0\.0\.1:\d+)$/m.exec(stderr())?.[1] ?? '';
    expect(await statusOf(`http://${simulator}/v1/models`)).toBe(401);
    expect(await statusOf(`http://${simulator}/control/stats`)).toBe(404);
    const commandLine = process.platform === 'linux' ? readFileSync(`/proc/${child.pid}/cmdline`, 'utf8') : '';
    expect(commandLine).not.toContain(password);
    expect((await ended).exit).toBe(0);
  });

  it('is for this user alone on the disk, under any umask; the results follow the umask', async () => {
    await writeFile(cli.path('prompts.txt'), 'one\ntwo [[sim:status=400]]\n');
    // As an earlier version may have left it.
    await mkdir(cli.path('data/runs'), { recursive: true });
    await chmod(cli.path('data/runs'), 0o755);
    const before = process.umask(0);
    const { ended } = cli.start(['run', 'prompts.txt', '-m', 'simulator/echo'], {
      REDIS_URL: inject('redisUrl'),
      PROMPTMILL_PREFIX: `cli-${process.pid}-${Date.now()}`,
    });
    process.umask(before);
    expect((await ended).exit).toBe(1);
    expect(readdirSync(cli.path('data')).sort()).toEqual(['runs', 'store']);
    expect(openToOthers(cli.path('data'))).toEqual([]);
    expect(statSync(cli.path('prompts.results.jsonl')).mode & 0o777).toBe(0o666);
  });
});

it('what a provider and an input say cannot control the terminal, and is in the results as it came', async () => {
  const hostile = 'no \u001B]0;title\u0007 \u009B2J \u202Egnp.exe';
  const provider = await startTestProvider();
  try {
    provider.answerJson(400, { error: { message: hostile } });
    await writeFile(cli.path('promptmill.yaml'), `providers: { lab: { baseUrl: ${provider.baseUrl} } }`);
    await writeFile(cli.path('one.jsonl'), JSON.stringify({ prompt: 'Hi', custom_id: 'a\u001B[31m' }));
    const ran = await cli.run(['run', 'one.jsonl', '-m', 'lab/any', '-o', 'out.jsonl']);
    const controls = /(?![\n\t])[\p{Cc}\u202E]/u;
    expect(ran.stderr).toContain(String.raw`failed    1 × 400, such as a\u001b[31m: no \u001b]0;title\u0007`);
    expect(ran.stderr).not.toMatch(controls);
    expect(ran.stderr).toMatch(
      /^configuration: .*promptmill\.yaml \(found in this folder\); calls go to 127\.0\.0\.1:/m,
    );
    const [line] = cli.lines('out.jsonl').map((text) => JSON.parse(text) as Record<string, unknown>);
    expect(line).toMatchObject({ custom_id: 'a\u001B[31m', response: { body: { error: { message: hostile } } } });

    await writeFile(cli.path('twice.jsonl'), '{"prompt":"a","custom_id":"\\u001b[2J"}\n'.repeat(2));
    const refused = await cli.run(['run', 'twice.jsonl', '-m', 'lab/any']);
    expect(refused.stderr).toContain(String.raw`The custom_id '\u001b[2J' is used on line 1 already`);
    expect(refused.stderr).not.toMatch(controls);
  } finally {
    await provider.close();
  }
});

it('a promptmill.yaml in the current folder gets no key of a preset', async () => {
  await writeFile(cli.path('promptmill.yaml'), 'providers: { openai: { baseUrl: "https://evil.example/v1" } }');
  await writeFile(cli.path('prompts.txt'), 'one\n');
  const { exit, stderr } = await cli.run(['run', 'prompts.txt', '-m', 'openai/any'], { OPENAI_API_KEY: 'sk-secret' });
  expect(stderr).toContain('OPENAI_API_KEY goes to api.openai.com only, and not to evil.example');
  expect([exit, stderr.includes('sk-secret')]).toEqual([1, false]);
});

it('serve without keys says who can use it, and takes no batch for a provider without a key', async () => {
  const { child, stderr, ended } = cli.start(['serve'], { PORT: '0', LOG_LEVEL: 'silent' });
  const url = (): string => /listens at (\S+)\/v1/.exec(stderr())?.[1] ?? '';
  await until('the server listens', () => url() !== '' || child.exitCode !== null);
  expect(stderr()).toMatch(/^warning: there are no API keys, so every user of this machine can use the api/m);

  const messageFor = async (model: string): Promise<unknown> => {
    const created = await fetch(`${url()}/v1/batches`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, prompts: ['Hi'] }),
    });
    const { id } = (await created.json()) as { id: string };
    for (;;) {
      const batch = (await (await fetch(`${url()}/v1/batches/${id}`)).json()) as { errors: { data: unknown[] } | null };
      if (batch.errors) return batch.errors.data[0];
    }
  };
  const refusal = (variable: string) => ({
    code: 'model_not_found',
    line: 1,
    message: expect.stringContaining(`${variable} is not set where Promptmill runs`) as string,
  });
  expect(await messageFor('xai/grok-4')).toMatchObject(refusal('XAI_API_KEY'));
  expect(await messageFor('ollama/any')).toMatchObject(refusal('OLLAMA_BASE_URL'));
  child.kill('SIGTERM');
  await ended;
});
