import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Cli, openCli, until } from './support/cli-process.ts';
import { inLongForm } from '../../../tests/support/long-form.ts';

let cli: Cli;

beforeEach(async () => {
  cli = await openCli();
  await writeFile(cli.path('prompts.txt'), 'one\ntwo\n');
  // A dollar for each token of a prompt.
  await writeFile(
    cli.path('promptmill.yaml'),
    'providers: { simulator: { models: { echo: { prices: { input: 1000000, output: 0 } } } } }',
  );
});

afterEach(() => cli.close());

const command = ['run', 'prompts.txt', '-m', 'simulator/echo'];
const question = '2 requests, estimated price at least $18.00\nStart? [y/N] ';
const runs = (): Promise<string[]> => readdir(cli.path('data/runs'));

/** Starts a command on a terminal, types a text once it asks, and waits for its end. */
const answer = async (
  typed: string,
  { args = command, before, env = {} }: { args?: string[]; before?: string; env?: Record<string, string> } = {},
) => {
  const { ended, stdin, stdout } = cli.startOnTerminal(args, { NO_COLOR: '1', ...env }, before);
  await until('it asks', () => stdout().includes('[y/N] '));
  stdin.write(typed);
  const { exit, stdout: shown } = await ended;
  return { exit, shown: shown.replaceAll('\r\n', '\n') };
};

describe('run, on a terminal', () => {
  it('asks before it may cost more than 10 USD, and starts nothing without a yes', async () => {
    const { exit, shown } = await answer('n\n');
    expect(shown.startsWith(question)).toBe(true);
    expect(shown).toContain('error: nothing was started; the same command with --yes starts it without a question\n');
    expect(exit).toBe(1);
    expect([await runs(), existsSync(cli.path('prompts.results.jsonl'))]).toEqual([[], false]);
  });

  it('starts with a yes, and does not ask again', async () => {
    const { exit, shown } = await answer('y\n');
    expect(shown).toContain('2 completed, 0 failed of 2');
    expect(exit).toBe(0);
    expect(await cli.onTerminal(command)).toMatch(/^\S+ already holds the results of this run/);
  });

  it('stops at Ctrl-C and at Ctrl-D', async () => {
    const { exit, shown } = await answer('\u0003');
    expect(exit).toBe(130);
    expect(shown).not.toContain('error');
    expect((await answer('\u0004')).exit).toBe(1);
    expect(await runs()).toEqual([]);
  });

  it('asks on the terminal when standard input brings the prompts', async () => {
    const { exit, shown } = await answer('y\n', {
      args: ['run', '-', '-m', 'simulator/echo', '--answers'],
      before: 'cat prompts.txt | ',
    });
    expect(shown).toContain('\none\ntwo\n');
    expect(exit).toBe(0);
  });

  it.runIf(inLongForm).each([['--yes'], ['--confirm-above=18']])('%s: asks nothing', async (option) => {
    const shown = await cli.onTerminal([...command, option]);
    expect(shown).toContain('2 completed, 0 failed of 2');
    expect(shown).not.toContain('[y/N]');
  });

  it.runIf(inLongForm)('says that no price is known, and asks nothing', async () => {
    await writeFile(cli.path('promptmill.yaml'), '');
    const shown = await cli.onTerminal(command);
    expect(shown).toMatch(
      /^the price is unknown: nothing says what simulator\/echo costs; prices in promptmill.yaml can\n/,
    );
    expect(shown).toContain('2 completed, 0 failed of 2');
  });
});

describe('where nobody can be asked', () => {
  it('nothing is asked', async () => {
    expect((await cli.run(command)).exit).toBe(0);
  });

  it('--confirm-above refuses what is above it', async () => {
    const { exit, stderr } = await cli.run([...command, '--confirm-above', '5']);
    expect(stderr).toBe(
      'error: 2 requests, estimated price at least $18.00: that is above --confirm-above $5.00, and nobody can be asked here; ' +
        '--yes starts it\n',
    );
    expect([exit, await runs()]).toEqual([1, []]);
    expect((await cli.run([...command, '--confirm-above', '20'])).exit).toBe(0);
  });
});

describe('submit', () => {
  it('asks with what the server expects, and without a yes deletes the file that it has sent', async () => {
    const server = cli.start(['serve', '--simulator'], { PORT: '0', LOG_LEVEL: 'warn' });
    const url = (): string => /listens at (\S+)\/v1/.exec(server.stderr())?.[1] ?? '';
    await until('the server listens', () => url() !== '');
    const env = { PROMPTMILL_URL: url() };
    const files = async (): Promise<unknown[]> =>
      ((await (await fetch(`${url()}/v1/files`)).json()) as { data: unknown[] }).data;

    const args = ['submit', 'prompts.txt', '-m', 'simulator/echo'];
    const refused = await answer('n\n', { args, env });
    expect(refused.shown.startsWith(question)).toBe(true);
    expect([refused.exit, await files()]).toEqual([1, []]);
    expect((await cli.run([...args, '--confirm-above', '1'], env)).stderr).toContain('nobody can be asked here');
    expect(await files()).toEqual([]);

    const started = await answer('y\n', { args: [...args, '--wait'], env });
    expect(started.shown).toMatch(/\nbatch_\w+\n$/);
    expect(started.exit).toBe(0);
  });
});
