import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cli, openCli } from './support/cli-process.ts';

let cli: Cli;

beforeAll(async () => {
  cli = await openCli();
  await writeFile(cli.path('my reviews.csv'), '');
});

afterAll(() => cli.close());

const isInstalled = (shell: string): boolean => spawnSync(shell, ['-c', 'true']).status === 0;

/** Runs a script in a shell that has the completion of promptmill, and returns the lines that it prints. */
const linesOf = async (shell: string, script: string, args: readonly string[] = []): Promise<readonly string[]> => {
  await writeFile(cli.path(`completion.${shell}`), (await cli.run(['completion', shell])).stdout);
  await writeFile(cli.path(`try.${shell}`), script);
  const { exit, stdout, stderr } = await cli.startCommand(shell, [...args, `try.${shell}`]).ended;
  expect([exit, stderr]).toEqual([0, '']);
  return stdout.split(/\r?\n/);
};

describe('completion', () => {
  it('completes commands, options, values and files in bash', async () => {
    const lines = await linesOf(
      'bash',
      `. ./completion.bash
      complete -p promptmill
      try() { COMP_WORDS=(promptmill "$@"); COMP_CWORD=$#; _promptmill; (IFS='|'; echo "$*: \${COMPREPLY[*]}"); }
      try ret; try run --form; try run x --format j; try run my; try run --output my; try run --seed ''
      try keys ''; try keys create --ten; try completion ''`,
    );
    expect(lines).toEqual([
      'complete -F _promptmill promptmill',
      'ret: retry',
      'run|--form: --format',
      'run|x|--format|j: jsonl|json',
      'run|my: my reviews.csv',
      'run|--output|my: my reviews.csv',
      'run|--seed|: ',
      'keys|: create|list|revoke',
      'keys|create|--ten: --tenant',
      'completion|: bash|zsh|fish',
      '',
    ]);
  });

  it.skipIf(!isInstalled('zsh'))('completes what is typed in zsh', async () => {
    const typed = ['promptmill ret', 'promptmill run --form', 'promptmill keys rev', 'promptmill run my'];
    // A zsh on a terminal of its own: it completes a line, then prints it.
    const lines = await linesOf(
      'zsh',
      `zmodload zsh/zpty
      zpty z zsh -f -i
      zpty -w z "autoload -U compinit; compinit -u -D; source ./completion.zsh; bindkey '^I' complete-word; print REA''DY"
      zpty -r z out '*READY*'
      for line in ${typed.map((line) => `'${line}'`).join(' ')}; do
        zpty -w -n z "$line"$'\\t\\C-a print -r \\C-e DO\\'\\'NE\\n'
        zpty -r z out '*DONE*'
        print -r -- "$out"
      done`,
      ['-f'],
    );
    expect(lines.filter((line) => line.endsWith(' DONE'))).toEqual([
      'promptmill retry DONE',
      'promptmill run --format DONE',
      'promptmill keys revoke DONE',
      'promptmill run my reviews.csv DONE',
    ]);
  });

  it.skipIf(!isInstalled('fish'))('completes and explains in fish', async () => {
    const typed = ['ret', 'run --form', 'run x --format js', 'run my', 'keys ', 'keys create --ten', 'completion '];
    const lines = await linesOf(
      'fish',
      `source completion.fish\n${typed.map((line) => `complete -C 'promptmill ${line}'`).join('\n')}`,
    );
    expect(lines.map((line) => line.split('\t')[0]).join(' ')).toBe(
      'retry --format json jsonl my reviews.csv create list revoke --tenant bash fish zsh ',
    );
    expect(lines[1]).toMatch(/^--format\thow to read the input/);
  });

  it('names the shells it knows', async () => {
    const { exit, stderr } = await cli.run(['completion', 'tcsh']);
    expect(exit).toBe(2);
    expect(stderr).toContain('Allowed choices are bash, zsh, fish.');
  });
});
