import type { Command } from 'commander';
import type { CreateKeyOptions } from '../commands/create-key.ts';
import type { CliContext } from '../context.ts';
import { keysHelp } from '../help-texts.ts';
import { parseExpires } from './parse-expires.ts';

/** Adds `keys create`, `keys list` and `keys revoke`. Each is imported when it is called, with the stores it needs. */
export const addKeyCommands = (program: Command, context: CliContext, done: (exitCode: number) => void): void => {
  const keys = program
    .command('keys')
    .description('Creates, lists and revokes the API keys of a server, on its machine.')
    .helpCommand(false)
    .addHelpText('after', keysHelp);

  keys
    .command('create')
    .description('Creates an API key and prints it, this once: only its SHA-256 is kept.')
    .requiredOption('--tenant <name>', 'whose key it is; a new name makes a new tenant')
    .option('--admin', 'let it also see and cancel the batches of every tenant')
    .option('--expires <time>', 'when it expires, from now: 90m, 12h, 30d (default: never)', parseExpires)
    .option('--note <text>', 'what it is for; `keys list` shows it')
    .action(async (options: CreateKeyOptions) => {
      const { createKey } = await import('../commands/create-key.ts');
      done(await createKey(options, context));
    });

  keys
    .command('list')
    .description('Lists the API keys that were created, the oldest first, without those of the environment.')
    .option('--json', 'print them as JSON, as into a pipe')
    .action(async (options: { readonly json?: boolean }) => {
      const { listKeys } = await import('../commands/list-keys.ts');
      done(await listKeys(options, context));
    });

  keys
    .command('revoke')
    .argument('<prefix>', 'the start of the key, as `keys list` shows it')
    .description('Revokes an API key. Nothing is served to it from within a second on.')
    .action(async (prefix: string) => {
      const { revokeKey } = await import('../commands/revoke-key.ts');
      done(await revokeKey(prefix, context));
    });
};
