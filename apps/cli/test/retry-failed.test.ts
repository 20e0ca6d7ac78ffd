import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startTestProvider } from '../../../tests/support/test-provider.ts';
import { type Cli, kill, openCli, until } from './support/cli-process.ts';
import { inLongForm } from '../../../tests/support/long-form.ts';

type TestProvider = Awaited<ReturnType<typeof startTestProvider>>;

let cli: Cli;
let provider: TestProvider;

beforeEach(async () => {
  cli = await openCli();
  provider = await startTestProvider();
});

afterEach(async () => {
  await cli.close();
  await provider.close();
});

const total = 20;
const prompts = Array.from({ length: total }, (_, index) => (index % 2 === 0 ? `good ${index}` : `bad ${index}`));
const failedFirst = prompts.filter((prompt) => prompt.startsWith('bad'));
const command = ['run', 'prompts.txt', '-m', 'vllm/m', '-c', '4', '-o', 'out.jsonl'];
const output = (): string => readFileSync(cli.path('out.jsonl'), 'utf8');

const promptOf = ({ body }: { readonly body: unknown }): string =>
  (body as { messages: { content: string }[] }).messages[0]?.content ?? '';
const called = (): string[] => provider.calls.filter(({ body }) => body !== undefined).map(promptOf);

/** Each prompt is answered with itself, and with 400 while it is refused. */
const answerUnless = (isRefused: (prompt: string) => boolean, waits: ServerResponse[] = [], answersMost = Infinity) => {
  let answers = 0;
  provider.answerWith((request, response) => {
    if (request.method === 'GET') {
      response.writeHead(404).end();
      return;
    }
    if (answers++ >= answersMost) {
      waits.push(response);
      return;
    }
    const prompt = called().at(-1) ?? '';
    const [status, body] = isRefused(prompt)
      ? [400, { error: { message: `not now: ${prompt}`, code: 'not_now' } }]
      : [200, { choices: [{ message: { role: 'assistant', content: prompt } }], usage: { prompt_tokens: 1 } }];
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
};

it('run --retry-failed runs what failed alone, also after a kill, and puts the results into their places', async () => {
  await writeFile(cli.path('prompts.txt'), prompts.join('\n'));
  const env = { VLLM_BASE_URL: provider.baseUrl };
  answerUnless((prompt) => prompt.startsWith('bad'));
  const first = await cli.run(command, env);
  expect(first.exit).toBe(1);
  expect(first.stderr).toMatch(/failed +10 × 400 not_now, such as \S+: not now: bad/);
  expect(first.stderr).toContain(`promptmill ${command.join(' ')} --retry-failed`);
  const before = output();

  // The answers of half of the second run never come, and the run is killed.
  const waits: ServerResponse[] = [];
  const callsBefore = called().length;
  answerUnless(() => false, waits, 5);
  const killed = cli.start([...command, '--retry-failed'], env);
  await until('calls wait', () => waits.length === 4);
  const redisPids = cli.redisPids();
  kill(-(killed.child.pid ?? 0));
  for (const pid of redisPids) kill(pid);
  await killed.ended;
  expect(output()).toBe(before);

  answerUnless(() => false);
  const last = await cli.run([...command, '--retry-failed'], env);
  expect(last.stderr).toContain('20 completed, 0 failed of 20');
  expect(last.exit).toBe(0);
  const lines = cli.lines('out.jsonl').map((line) => JSON.parse(line) as { response: { body: unknown } });
  expect(lines.map(({ response }) => JSON.stringify(response.body))).toEqual(
    prompts.map((prompt) => expect.stringContaining(`"${prompt}"`) as string),
  );
  const again = called().slice(callsBefore);
  expect(new Set(again)).toEqual(new Set(failedFirst));
  // Only calls in flight, or answered just before the kill, are repeated.
  expect(again.length).toBeLessThanOrEqual(failedFirst.length + 5);

  const nothingLeft = await cli.run([...command, '--retry-failed'], env);
  expect(nothingLeft.stderr).toContain('none failed');
  expect(nothingLeft.exit).toBe(0);
  expect(called()).toHaveLength(callsBefore + again.length);
});

it.runIf(inLongForm)(
  'run --retry-failed that reaches --max-cost publishes what it has, and goes on with more',
  async () => {
    await writeFile(cli.path('prompts.txt'), prompts.join('\n'));
    const prices = '{ input: 1000000, output: 0 }';
    await writeFile(cli.path('promptmill.yaml'), `providers: { vllm: { models: { m: { prices: ${prices} } } } }`);
    const env = { VLLM_BASE_URL: provider.baseUrl };
    answerUnless((prompt) => prompt.startsWith('bad'));
    expect((await cli.run(command, env)).exit).toBe(1);

    // Each answer costs a dollar.
    answerUnless(() => false);
    const callsBefore = called().length;
    const stopped = await cli.run([...command, '--retry-failed', '--max-cost', '5'], env);
    expect(stopped.stderr).toMatch(/^error: .* \S*\/out\.jsonl has the results so far/m);
    expect(stopped.exit).toBe(1);
    const answered = called().length - callsBefore;
    expect(answered).toBeLessThanOrEqual(5);
    const kinds = cli.lines('out.jsonl').map((line, index) => {
      const { response, error } = JSON.parse(line) as { response: unknown; error: { code: string } | null };
      return error?.code ?? JSON.stringify(response).includes(`"${prompts[index]}"`);
    });
    expect(kinds.filter((kind) => kind === true)).toHaveLength(total / 2 + answered);
    expect(kinds.filter((kind) => kind === 'cost_limit')).toHaveLength(total / 2 - answered);

    const last = await cli.run([...command, '--retry-failed', '--max-cost', '50'], env);
    expect(last.stderr).toContain('20 completed, 0 failed of 20');
    expect(called().length).toBe(callsBefore + total / 2);
  },
);

it('run --retry-failed of what has not run says so, and calls nothing', async () => {
  await writeFile(cli.path('prompts.txt'), 'good');
  const { exit, stderr } = await cli.run([...command, '--retry-failed'], { VLLM_BASE_URL: provider.baseUrl });
  expect(exit).toBe(1);
  expect(stderr).toContain('leave --retry-failed out');
  expect([called(), existsSync(cli.path('out.jsonl'))]).toEqual([[], false]);
});
