import { readFileSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Cli, openCli, until } from './support/cli-process.ts';

let cli: Cli;

beforeEach(async () => {
  cli = await openCli();
});

afterEach(() => cli.close());

const providers = (): unknown[] =>
  [...readFileSync(cli.path('promptmill.yaml'), 'utf8').matchAll(/^ {2}(\w+): #/gm)].map(([, name]) => name);

describe('init', () => {
  it('asks nothing in a pipe, writes a file for the keys that are set, and replaces none', async () => {
    const env = { GROQ_API_KEY: 'secret-of-groq', XAI_API_KEY: 'secret-of-xai' };
    const { exit, stdout, stderr } = await cli.run(['init'], env);
    expect([exit, stdout]).toEqual([0, '']);
    expect(stderr).toBe('wrote promptmill.yaml for xai, groq; next: promptmill doctor --provider xai\n');
    expect(providers()).toEqual(['xai', 'groq']);
    const text = readFileSync(cli.path('promptmill.yaml'), 'utf8');
    expect(text).not.toContain('secret');
    expect(statSync(cli.path('promptmill.yaml')).mode & 0o777).toBe(0o666 & ~process.umask());

    const again = await cli.run(['init', '--provider', 'openai'], env);
    expect(again).toMatchObject({ exit: 1, stderr: expect.stringContaining('is here already: edit it') as string });
    expect(readFileSync(cli.path('promptmill.yaml'), 'utf8')).toBe(text);
  });

  it('asks on a terminal', async () => {
    const { stdin, ended } = cli.startOnTerminal(['init']);
    stdin.write('vllm, ollama\n');
    expect((await ended).stdout).toContain('wrote promptmill.yaml for vllm, ollama; next: promptmill doctor');
    expect(providers()).toEqual(['vllm', 'ollama']);
  });

  it('writes nothing when Ctrl-C is its answer', async () => {
    const { stdin, stdout, ended } = cli.startOnTerminal(['init']);
    await until('it asks', () => stdout().includes('Which will you use?'));
    stdin.write('\u0003');
    expect((await ended).exit).toBe(130);
    expect(await readdir(cli.path('.'))).toEqual([]);
  });

  it('knows its presets, and says which key is missing', async () => {
    const { exit, stderr } = await cli.run(['init', '--provider', 'xia']);
    expect([exit, stderr]).toEqual([
      1,
      expect.stringContaining('there is no preset xia: name some of xai, ') as string,
    ]);
    expect(await readdir(cli.path('.'))).toEqual([]);
    expect((await cli.run(['init', '--provider', 'simulator', 'mistral'])).stderr).toContain(
      'next: export MISTRAL_API_KEY=… && promptmill doctor --provider mistral\n',
    );
  });
});
