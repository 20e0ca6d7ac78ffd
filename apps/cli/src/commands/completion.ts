import type { Command } from 'commander';
import { bashCompletion } from '../completion/bash.ts';
import { commandWords } from '../completion/command-words.ts';
import { fishCompletion } from '../completion/fish.ts';
import { zshCompletion } from '../completion/zsh.ts';
import type { CliContext } from '../context.ts';

const scripts = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };

export type Shell = keyof typeof scripts;
export const shells = Object.keys(scripts);

/** Prints the script with which a shell completes the commands and options of `program`. */
export const printCompletion = (program: Command, shell: Shell, { stdout }: CliContext): number => {
  stdout.write(scripts[shell](commandWords(program)));
  return 0;
};
