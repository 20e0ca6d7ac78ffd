import { CommanderError } from 'commander';
import { CliError } from './cli-error.ts';
import { type CliContext, StopRequest } from './context.ts';
import { createProgram } from './program.ts';

const usageError = 2;
/** Their messages name the lines of an input, as compilers do. */
const namesLines = new Set(['input_invalid', 'batch_failed']);

/** What to say of an error: its message when it has a code, for it was foreseen then, and else where it came from. */
const describeError = (error: unknown): string => {
  if (error instanceof CliError && namesLines.has(error.code)) return `${error.message}\nerror: nothing was started`;
  const { code, message, stack } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return `error: the port is taken (${message}): choose another with --port or PORT`;
  return `error: ${code === undefined ? (stack ?? String(error)) : message}`;
};

/** Runs one command line, and gives its exit code. Never throws. */
export const runCli = async (argv: readonly string[], context: CliContext): Promise<number> => {
  let exitCode = 0;
  const program = createProgram(context, (code) => (exitCode = code));
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageError;
    if (context.signal.aborted && context.signal.reason instanceof StopRequest) return context.signal.reason.exitCode;
    context.screen.write(`${describeError(error)}\n`);
    return 1;
  }
};
