import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Cli, kill, openCli, until } from './support/cli-process.ts';
import { inLongForm } from '../../../tests/support/long-form.ts';

let cli: Cli;

beforeEach(async () => {
  cli = await openCli();
  await mkdir(cli.path('prompts/below'), { recursive: true });
  await writeFile(cli.path('prompts/b.txt'), 'three\nfour [[sim:status=400]]\n');
  await writeFile(cli.path('prompts/a.txt'), 'one\ntwo\n');
  await writeFile(cli.path('prompts/c.csv'), 'text\nfive\n');
  await writeFile(cli.path('prompts/.hidden.txt'), 'never\n');
  await writeFile(cli.path('prompts/notes.docx'), 'never\n');
});

afterEach(() => cli.close());

const command = ['run', 'prompts', '-m', 'simulator/echo', '-p', 'Say {{text}}', '-o', 'answers'];
const env = (): Record<string, string> => ({ SIMULATOR_CALL_LOG: cli.path('calls.jsonl') });
const calls = (): number => (existsSync(cli.path('calls.jsonl')) ? cli.lines('calls.jsonl').length : 0);
const left = (): Promise<string[]> => readdir(cli.path('data/runs')).catch(() => []);

describe('run with a folder', () => {
  it('runs each file in the order of names, and says what all came to; again, it pays for nothing twice', async () => {
    const { exit, stderr } = await cli.run(command, env());
    expect(stderr).toContain(
      'left out of prompts: .hidden.txt (hidden), below (a folder), notes.docx (unknown ending)\n',
    );
    const names = [...stderr.matchAll(/^(prompts\/\S+): (.*)$/gm)].map(([, name, counts]) => `${name} ${counts}`);
    expect(names).toEqual([
      'prompts/a.txt 2 completed, 0 failed of 2',
      'prompts/b.txt 1 completed, 1 failed of 2',
      'prompts/c.csv 1 completed, 0 failed of 1',
    ]);
    expect(stderr).toMatch(
      /\n3 files\n {2}requests {2}4 completed, 1 failed of 5\n {2}failed {4}1 × 400.*\n {2}tokens {4}[1-9]\d* tokens/,
    );
    expect(stderr).toContain(`  retry     promptmill ${command.slice(0, 4).join(' ')}`);
    expect(exit).toBe(1);
    expect(await readdir(cli.path('answers'))).toEqual(['a.results.jsonl', 'b.results.jsonl', 'c.results.csv']);
    expect(readFileSync(cli.path('answers/c.results.csv'), 'utf8')).toContain('five,Say five,');

    const before = calls();
    await writeFile(cli.path('prompts/d.txt'), 'six\n');
    const again = await cli.run(command, env());
    expect(again.stderr).toMatch(/\n4 files\n {2}requests {2}5 completed, 1 failed of 6\n/);
    expect(calls()).toBe(before + 1);

    const retried = await cli.run([...command, '--retry-failed'], env());
    expect(retried.stderr).toMatch(/\n {2}requests {2}5 completed, 1 failed of 6\n/);
    expect(calls()).toBe(before + 2);
  });

  it('goes on after a kill -9 of all its processes', async () => {
    await writeFile(cli.path('prompts/b.txt'), 'slow [[sim:latency=60000]]\n');
    const killed = cli.start(command, env());
    await until('the second file runs', () => killed.stderr().includes('1 prompt of prompts/b.txt'));
    const redisPids = cli.redisPids();
    kill(-(killed.child.pid ?? 0));
    for (const pid of redisPids) kill(pid);
    await killed.ended;
    expect(await readdir(cli.path('answers'))).toEqual(['a.results.jsonl']);

    await writeFile(cli.path('prompts/b.txt'), 'three\n');
    const { exit, stderr } = await cli.run(command, env());
    expect(stderr).toContain('a.results.jsonl already holds the results of this run');
    expect(stderr).toMatch(/\n3 files\n {2}requests {2}4 completed, 0 failed of 4\n/);
    expect(exit).toBe(0);
  });

  it('pays for nothing when one of its files is wrong', async () => {
    await writeFile(cli.path('prompts/z.jsonl'), '{"prompt":\n');
    const { exit, stderr } = await cli.run(command.slice(0, 6), env());
    expect(stderr).toMatch(/\nprompts\/z\.jsonl:1: .*\nerror: nothing was started\n$/);
    expect([exit, calls(), await left(), existsSync(cli.path('prompts.results'))]).toEqual([1, 0, [], false]);
  });

  it.runIf(inLongForm)('keeps all files together below --max-cost', async () => {
    await writeFile(
      cli.path('promptmill.yaml'),
      'providers: { simulator: { models: { echo: { prices: { input: 1000000, output: 0 } } } } }',
    );
    const run = (usd: string) => cli.run([...command, '--max-cost', usd], env());
    // Each prompt has 2 or 3 tokens of a dollar each.
    const stopped = await run('5');
    expect(stopped.exit).toBe(1);
    expect(stopped.stderr).toMatch(/error: .* the same command with a higher/s);
    const before = calls();
    expect(before).toBeLessThan(5);
    expect((await run('100')).stderr).toMatch(/\n {2}requests {2}4 completed, 1 failed of 5\n/);
    expect(calls()).toBe(5);
  });

  it('shows in a dry run what all files use', async () => {
    const { exit, stderr } = await cli.run([...command, '--dry-run'], env());
    expect(stderr).toContain('5 requests of prompts in 3 files; nothing was called\n');
    expect([exit, calls(), await readdir(cli.path('.'))]).toEqual([0, 0, ['prompts']]);
  });

  it.each([
    [['-o', 'answers.csv'], /^error: prompts is a folder, so its results need one too: .* -o answers\/\n$/],
    [['-o', 'prompts/'], /^error: prompts is the input: name another folder with -o\n$/],
    [['--retry-failed'], /leave --retry-failed out\n$/],
  ])('refuses %s', async (options, message) => {
    const { exit, stderr } = await cli.run([...command.slice(0, 6), ...options], env());
    expect(stderr).toMatch(message);
    expect([exit, calls(), await left(), existsSync(cli.path('prompts.results'))]).toEqual([1, 0, [], false]);
  });

  it('refuses files whose results would have one name, and a folder without a file', async () => {
    await writeFile(cli.path('prompts/a.jsonl'), '{"prompt":"x"}\n');
    expect((await cli.run(command)).stderr).toMatch(
      /^left out .*\n?error: the results of prompts\/a\.jsonl and prompts\/a\.txt would both go to \S+: rename one of them\n$|^error: the results/,
    );
    expect((await cli.run(['run', 'prompts/below', '-m', 'simulator/echo'])).stderr).toMatch(
      /^error: prompts\/below has no file to run: /,
    );
  });
});
