import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { shellCommand } from './shell-command.ts';

it('quotes only what a shell would take apart', () => {
  const words = ['run', 'a b.csv', '-p', 'It\'s {{text}} $HOME\n"\\', '', '-m', 'xai/grok-4.3'];
  const command = shellCommand(words);
  expect(command).toMatch(/^run 'a b\.csv' -p /);
  const read = execFileSync('sh', ['-c', `printf '%s\\0' ${command}`], { encoding: 'utf8' });
  expect(read.split('\0').slice(0, -1)).toEqual(words);
});
