import { existsSync, readFileSync } from 'node:fs';
import { appendFile, readdir, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { type Cli, kill, openCli, until } from './support/cli-process.ts';
import { inLongForm } from '../../../tests/support/long-form.ts';

interface Result {
  readonly custom_id: string;
  readonly response: { readonly status_code: number; readonly body: Answer } | null;
  readonly error: { readonly code: string } | null;
}

interface Answer {
  readonly choices: readonly { readonly message: { readonly content: string } }[];
}

interface LoggedCall {
  readonly key: string;
  readonly inFlight: number;
  /** When the call arrived, in epoch milliseconds. */
  readonly at: number;
}

const examples = new URL('../../../examples/', import.meta.url);

let cli: Cli;

beforeEach(async () => {
  cli = await openCli();
});

afterEach(() => cli.close());

const results = (name: string): Result[] => cli.lines(name).map((line) => JSON.parse(line) as Result);

const answers = (name: string): (string | undefined)[] =>
  results(name).map(({ response }) => response?.body.choices[0]?.message.content);

const prompts = (count: number): string[] => Array.from({ length: count }, (_, index) => `Prompt number ${index}.`);

const calls = (): LoggedCall[] =>
  existsSync(cli.path('calls.jsonl')) ? cli.lines('calls.jsonl').map((line) => JSON.parse(line) as LoggedCall) : [];

const env = (): Record<string, string> => ({
  SIMULATOR_LATENCY_MS: '200',
  SIMULATOR_CALL_LOG: cli.path('calls.jsonl'),
});

describe('run', () => {
  it('answers the example prompts in order, with nothing set up', async () => {
    const input = new URL('prompts.txt', examples);
    const { exit, stdout, stderr } = await cli.run([
      'run',
      input.pathname,
      '-m',
      'simulator/echo',
      '-o',
      'results.jsonl',
    ]);
    expect(stderr).toMatch(/20 prompts of .*prompts\.txt; watch them at http:\/\/127\.0\.0\.1:\d+\/admin\/queues/);
    expect(stderr).toContain('100 % · 20/20 done');
    expect(stderr).toContain('20 completed, 0 failed of 20');
    expect([exit, stdout]).toEqual([0, '']);
    expect(answers('results.jsonl')).toEqual(readFileSync(input, 'utf8').trimEnd().split('\n'));
    expect(cli.redisPids()).toEqual([]);
  });

  it("answers the example in OpenAI's format", async () => {
    const { exit } = await cli.run(['run', new URL('batch.jsonl', examples).pathname, '-o', 'results.jsonl', '-q']);
    expect(exit).toBe(0);
    expect(results('results.jsonl')).toHaveLength(10);
  });

  it('writes a failed line in its place, says why it failed, and exits with 1', async () => {
    await writeFile(
      cli.path('mixed.jsonl'),
      [
        '{"prompt":"First"}',
        '',
        '{"prompt":"Second [[sim:status=400]]","custom_id":"bad"}',
        '{"custom_id":"third","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"Third"}]}}',
      ].join('\n'),
    );
    const { exit, stderr } = await cli.run(['run', 'mixed.jsonl', '-m', 'simulator/echo']);
    expect(exit).toBe(1);
    expect(stderr).toMatch(/ failed +1 × 400.*, such as bad: /);
    expect(results('mixed.results.jsonl').map((line) => [line.custom_id, line.response?.status_code])).toEqual([
      ['request-1', 200],
      ['bad', 400],
      ['third', 200],
    ]);
  });

  it('--dedupe: prompts that are the same are called once', async () => {
    await writeFile(cli.path('same.txt'), 'one\ntwo\none\none\n');
    const args = ['run', 'same.txt', '-m', 'simulator/echo', '--temperature', '0', '--dedupe', '-o', 'same.jsonl'];
    const { exit, stderr } = await cli.run(args, env());
    expect(exit).toBe(0);
    expect(answers('same.jsonl')).toEqual(['one', 'two', 'one', 'one']);
    expect(calls()).toHaveLength(2);
    expect(stderr).toContain('2 results of the same requests');
  });

  it('reads standard input and writes standard output', async () => {
    const { stdin, ended } = cli.start(['run', '-', '-m', 'simulator/echo', '-q']);
    stdin.end('one\ntwo\n');
    const { exit, stdout, stderr } = await ended;
    expect([exit, stderr]).toEqual([0, '']);
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);
  });

  it('works with the Redis that REDIS_URL names', async () => {
    await writeFile(cli.path('prompts.txt'), prompts(5).join('\n'));
    const { exit } = await cli.run(['run', 'prompts.txt', '-m', 'simulator/echo'], {
      REDIS_URL: inject('redisUrl'),
      PROMPTMILL_PREFIX: `cli-${process.pid}-${Date.now()}`,
    });
    expect(exit).toBe(0);
    expect(answers('prompts.results.jsonl')).toEqual(prompts(5));
    expect(await readdir(cli.path('data'))).toEqual(['runs', 'store']);
  });
});

describe('run keeps the limits it is given', () => {
  beforeEach(() => writeFile(cli.path('prompts.txt'), prompts(30).join('\n')));

  it('--concurrency: calls in flight', async () => {
    expect((await cli.run(['run', 'prompts.txt', '-m', 'simulator/echo', '-c', '3'], env())).exit).toBe(0);
    expect(Math.max(...calls().map(({ inFlight }) => inFlight))).toBe(3);
  });

  it('--requests-per-second: calls started in any second', async () => {
    const command = ['run', 'prompts.txt', '-m', 'simulator/echo', '--requests-per-second', '10'];
    expect((await cli.run(command, env())).exit).toBe(0);
    const starts = calls().map(({ at }) => at);
    expect(starts).toHaveLength(30);
    for (const start of starts) expect(starts.filter((at) => at >= start && at < start + 1000).length).toBeLessThan(11);
    expect(Math.max(...starts) - Math.min(...starts)).toBeLessThan(5000);
  });
});

it('--max-cost: a run stops before it costs more, and goes on with more money', async () => {
  await writeFile(cli.path('prompts.txt'), prompts(30).join('\n'));
  const run = (usd: string) => cli.run(['run', 'prompts.txt', '-m', 'simulator/echo', '--max-cost', usd], env());
  expect((await run('1')).stderr).toContain('The price of simulator/echo is not known, so max_cost could not hold.');
  await writeFile(
    cli.path('promptmill.yaml'),
    'providers: { simulator: { models: { echo: { prices: { input: 100, output: 100 } } } } }',
  );
  const stopped = await run('0.003');
  expect(stopped.exit).toBe(1);
  expect(stopped.stderr).toMatch(
    /of its max_cost of 0\.003 USD\. \d+ requests left\. \S+ has the results so far, .*; the same command with a higher --max-cost/,
  );
  const before = calls().length;
  expect(before).toBeLessThan(20);
  // What was paid for is at hand, each answer in its place.
  const soFar = results('prompts.results.jsonl').map(({ response, error }, index) =>
    response === null ? error?.code : response.body.choices[0]?.message.content === prompts(30)[index],
  );
  expect([soFar.length, soFar.filter((kind) => kind === true).length]).toEqual([30, before]);
  expect(soFar.filter((kind) => kind === 'cost_limit')).toHaveLength(30 - before);
  expect((await run('5')).exit).toBe(0);
  expect(answers('prompts.results.jsonl')).toEqual(prompts(30));
  expect(calls()).toHaveLength(30);
});

describe('run refuses before anything starts', () => {
  it.each([
    [['run', 'none.txt', '-m', 'simulator/echo'], /^error: there is no file none\.txt\n$/],
    [['run', 'prompts.txt'], /^prompts\.txt:1: no model: add --model .*\(on 2 lines\)\nerror: nothing was started\n$/],
    [['run', 'prompts.txt', '-m', 'xai/grok-4'], /^error: XAI_API_KEY is not set: .*\n$/],
    [['run', 'prompts.txt', '-m', 'grok-4'], /^error: no provider takes the model grok-4: .*\n$/],
    [['run', 'prompts.txt', '-m', 'simulator/echo', '-o', 'no/out.jsonl'], /^error: cannot write .*out\.jsonl: .*\n$/],
    [['run', 'prompts.txt', '-m', 'simulator/echo', '-o', 'prompts.txt'], /^error: prompts\.txt is the input: .*\n$/],
    [
      ['run', 'bad.jsonl', '-m', 'simulator/echo'],
      /^bad\.jsonl:2: .*\nbad\.jsonl:3: .*\nerror: nothing was started\n$/,
    ],
  ])('%s', async (args, message) => {
    await writeFile(cli.path('prompts.txt'), 'one\ntwo\n');
    await writeFile(cli.path('bad.jsonl'), '{"prompt":"fine"}\n{"prompt":\n{"promt":"x"}\n');
    const { exit, stderr } = await cli.run(args);
    expect(stderr).toMatch(message);
    expect(exit).toBe(1);
    expect(await readdir(cli.path('data/runs')).catch(() => [])).toEqual([]);
  });

  it.each([
    [['run']],
    [['run', 'a', '--concurrency', 'x']],
    [['run', 'a', '--requests-per-second', '0']],
    [['run', 'a', '--requests-per-second', '1', '--requests-per-minute', '1']],
    [['walk']],
    [['run', 'a', '--nope']],
    [[]],
  ])('a wrong command line, with exit code 2: %s', async (args) => {
    expect((await cli.run(args)).exit).toBe(2);
  });

  it('a custom_id that comes twice: it names the line and leaves nothing behind', async () => {
    await writeFile(cli.path('twice.jsonl'), '{"prompt":"a","custom_id":"x"}\n\n{"prompt":"b","custom_id":"x"}\n');
    const { exit, stderr } = await cli.run(['run', 'twice.jsonl', '-m', 'simulator/echo']);
    expect(stderr).toMatch(/\ntwice\.jsonl:3: .*'x'.*\nerror: nothing was started\n$/);
    expect(exit).toBe(1);
    expect(existsSync(cli.path('twice.results.jsonl'))).toBe(false);
    expect(await readdir(cli.path('data/runs'))).toEqual([]);
  });
});

describe('run, run again', () => {
  const total = 60;
  const concurrency = 5;
  const command = ['run', 'prompts.txt', '-m', 'simulator/echo', '-c', String(concurrency)];

  beforeEach(async () => {
    await writeFile(cli.path('prompts.txt'), prompts(total).join('\n'));
  });

  it('after a kill -9 of all its processes carries on, and pays for nothing twice', async () => {
    const killed = cli.start(command, env());
    await until('a third is answered', () => calls().length >= total / 3);
    const redisPids = cli.redisPids();
    expect(redisPids).toHaveLength(1);
    kill(-(killed.child.pid ?? 0));
    for (const pid of redisPids) kill(pid);
    expect((await killed.ended).exit).toBe('SIGKILL');
    expect(existsSync(cli.path('prompts.results.jsonl'))).toBe(false);

    const { exit, stderr } = await cli.run(command, env());
    expect(stderr).toContain('carrying on: ');
    expect(exit).toBe(0);
    expect(answers('prompts.results.jsonl')).toEqual(prompts(total));
    expect(calls().length).toBeLessThanOrEqual(total + concurrency);
    // Only calls in flight may be repeated. The log may lack the last calls before the kill.
    expect(calls().length - new Set(calls().map(({ key }) => key)).size).toBeLessThanOrEqual(concurrency);

    const third = await cli.run(command, env());
    expect(third.stderr).toMatch(/already holds the results of this run/);
    expect(third.exit).toBe(0);

    const before = [calls().length, readFileSync(cli.path('prompts.results.jsonl'), 'utf8')];
    await writeFile(cli.path('prompts.results.jsonl'), 'what another command has written since');
    const fourth = await cli.run(command, env());
    expect(fourth.stderr).toMatch(
      /prompts\.results\.jsonl is there already: it stays as it is until the results replace it/,
    );
    expect(fourth.exit).toBe(0);
    expect([calls().length, readFileSync(cli.path('prompts.results.jsonl'), 'utf8')]).toEqual(before);
  });

  it('after Ctrl-C carries on, and pays for nothing twice', async () => {
    const stopped = cli.start(command, env());
    await until('a third is answered', () => calls().length >= total / 3);
    process.kill(-(stopped.child.pid ?? 0), 'SIGINT');
    const { exit, stderr } = await stopped.ended;
    expect(exit).toBe(130);
    expect(stderr).toContain('the same command carries on from here');
    expect(cli.redisPids()).toEqual([]);

    // The rest runs faster: another concurrency does not make it another run.
    expect((await cli.run([...command, '-c', '50'], env())).exit).toBe(0);
    expect(answers('prompts.results.jsonl')).toEqual(prompts(total));
    expect(calls()).toHaveLength(total);
  });

  it.runIf(inLongForm)('with --fresh starts over', async () => {
    const stopped = cli.start(command, env());
    await until('a third is answered', () => calls().length >= total / 3);
    stopped.child.kill('SIGINT');
    await stopped.ended;
    const before = calls().length;
    expect((await cli.run([...command, '--fresh', '-c', '50'], env())).exit).toBe(0);
    expect(answers('prompts.results.jsonl')).toEqual(prompts(total));
    expect(calls()).toHaveLength(before + total);
  });

  it.runIf(inLongForm)('is another run when the input has changed', async () => {
    expect((await cli.run(['run', 'prompts.txt', '-m', 'simulator/echo', '-c', '50'])).exit).toBe(0);
    await appendFile(cli.path('prompts.txt'), '\nOne more.');
    expect((await cli.run(['run', 'prompts.txt', '-m', 'simulator/echo', '-c', '50'])).exit).toBe(0);
    expect(answers('prompts.results.jsonl')).toEqual([...prompts(total), 'One more.']);
  });

  it.runIf(inLongForm)('while it is running is refused', async () => {
    // The first run takes 12 s; the second must end before it.
    const slow = { ...env(), SIMULATOR_LATENCY_MS: '1000' };
    const first = cli.start(command, slow);
    await until('it runs', () => calls().length > 0);
    const second = await cli.run(command, slow);
    expect(second.stderr).toContain(`process ${first.child.pid} is already at work on this run`);
    expect(second.exit).toBe(1);
    expect((await first.ended).exit).toBe(0);
  });
});
