import { CommanderError } from 'commander';
import { type CliContext, StopRequest } from './context.ts';
import { createProgram } from './program.ts';

const usageError = 2;
/** Codes of errors whose message lists lines of the input, as a compiler does: `prompts.jsonl:17: …`. */
const inputProblemCodes = new Set(['input_invalid', 'batch_failed']);

/** The text shown for an error: its message when it has a code, and so was expected; its stack when it has none. */
const describeError = (error: unknown): string => {
  const { code, message, stack } = error as NodeJS.ErrnoException;
  if (code !== undefined && inputProblemCodes.has(code)) return `${message}\nerror: nothing was started`;
  if (code === 'EADDRINUSE') return `error: the port is taken (${message}): choose another with --port or PORT`;
  return `error: ${code === undefined ? (stack ?? String(error)) : message}`;
};

/** Runs one command line and returns its exit code. It never throws. */
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
