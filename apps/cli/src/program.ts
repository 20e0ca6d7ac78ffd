import { ConfigError } from '@promptmill/core';
import { EmbeddedRedisError } from '@promptmill/runtime';
import { Command, CommanderError } from 'commander';
import { CliError } from './cli-error.ts';
import { cancelBatch } from './commands/cancel.ts';
import { listBatches } from './commands/list.ts';
import { showResults } from './commands/results.ts';
import { run } from './commands/run.ts';
import { serve } from './commands/serve.ts';
import { showStatus } from './commands/status.ts';
import { submit } from './commands/submit.ts';
import { watch } from './commands/watch.ts';
import { type CliContext, StopRequest } from './context.ts';
import { addPromptOptions, maxWhole, wholeNumber } from './prompt-options.ts';

const overview = `
Try it, without a key and without a server:
  promptmill run examples/prompts.txt --model simulator/echo -o results.jsonl

The same against a provider:
  XAI_API_KEY=… promptmill run prompts.txt --model xai/grok-4 -o results.jsonl

With a server, for many batches and many workers (PROMPTMILL_URL and PROMPTMILL_API_KEY say which):
  promptmill serve
  id=$(promptmill submit batch.jsonl) && promptmill watch "$id" && promptmill results "$id" -o results.jsonl
`;

const runHelp = `
INPUT is a .txt file with a prompt a line, a .jsonl file, or - for standard input. A JSON line is one of
  {"prompt": "…"}  {"messages": […]}        each may have a custom_id and a model of its own
  {"custom_id": "…", "method": "POST", "url": "/v1/chat/completions", "body": {…}}      OpenAI's batch format

The results have one line for each line of the input, in the same order. They appear whole, at the end.
Stopped or killed half way: the same command carries on where it was, and pays for nothing twice.

  promptmill run prompts.txt -m xai/grok-4 --system 'Answer in one sentence.' --max-tokens 200 --concurrency 20
  promptmill run batch.jsonl -o results.jsonl
  grep -v '^#' prompts.txt | promptmill run - -m openai/gpt-4.1-mini > results.jsonl

Exit code: 0 when every line has an answer, 1 when any has none, 130 after Ctrl-C.
`;

const submitHelp = `
Only the batch's id goes to standard output:
  id=$(promptmill submit prompts.txt -m xai/grok-4)
  promptmill submit batch.jsonl --watch
`;

const resultsHelp = `
  promptmill results batch_… -o results.jsonl            once it has ended: in input order
  promptmill results batch_… -o results.jsonl --follow   waits for the end first
  promptmill results batch_… --follow | jq .custom_id    while it runs: as they come in (one may, seldom, come twice)
`;

/** The commands and their options, as `--help` shows them. */
const createProgram = (context: CliContext, done: (exitCode: number) => void): Command => {
  const program = new Command('promptmill')
    .description('Runs thousands of LLM prompts against any OpenAI-compatible provider, and never loses one.')
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.screen.write(text),
    })
    .exitOverride()
    .showHelpAfterError('(--help tells more)')
    .helpCommand(false)
    .addHelpText('after', overview);

  addPromptOptions(program.command('run').argument('<input>', '.txt, .jsonl or -'))
    .summary('run a file of prompts here and now, with nothing else to set up')
    .description('Runs a file of prompts in this process: Redis, workers and all come with it.')
    .option('-o, --output <file>', 'where the results go, - for standard output (default: <input>.results.jsonl)')
    .option('-c, --concurrency <n>', 'calls in flight (default: 50)', wholeNumber(1, 10_000))
    .option('--timeout <seconds>', 'longest time one call may take (default: 120)', wholeNumber(1, 86_400))
    .option('--data-dir <folder>', 'where work in progress is kept (default: ./data)')
    .option('--port <n>', 'of the api and Bull Board on 127.0.0.1 (default: any free one)', wholeNumber(0, 65_535), 0)
    .option('--fresh', 'forget an earlier run of the same input, and pay for it again')
    .option('-q, --quiet', 'say nothing but errors')
    .addHelpText('after', runHelp)
    .action(async (input: string, options: Parameters<typeof run>[1]) => done(await run(input, options, context)));

  program
    .command('serve')
    .summary('serve the HTTP API, with all roles in this process')
    .description(
      'Serves the HTTP API on HOST:PORT (127.0.0.1:3000), with a Redis of its own unless REDIS_URL names one.',
    )
    .option('--simulator', 'start the simulator too, for models such as simulator/echo')
    .action(async (options: Parameters<typeof serve>[0]) => done(await serve(options, context)));

  addPromptOptions(program.command('submit').argument('<input>', '.txt, .jsonl or -'))
    .summary('make a batch of a file on a server, and print its id')
    .description('Makes a batch of a file of prompts on a server.')
    .option('--watch', 'show its progress until it ends')
    .option('--wait', 'wait until it ends, without a word')
    .addHelpText('after', submitHelp)
    .action(async (input: string, options: Parameters<typeof submit>[1]) =>
      done(await submit(input, options, context)),
    );

  program
    .command('status')
    .argument('<batch>')
    .description('Says how a batch is doing.')
    .option('--json', "print the batch as OpenAI's object")
    .action(async (id: string, options: Parameters<typeof showStatus>[1]) =>
      done(await showStatus(id, options, context)),
    );

  program
    .command('watch')
    .argument('<batch>')
    .description("Shows a batch's progress until it ends. Ctrl-C leaves the batch alone.")
    .action(async (id: string) => done(await watch(id, context)));

  program
    .command('results')
    .argument('<batch>')
    .description("Gets a batch's results, a line for each request.")
    .option('-o, --output <file>', 'where they go, whole (default: standard output)')
    .option('-f, --follow', 'wait for results that are still to come')
    .addHelpText('after', resultsHelp)
    .action(async (id: string, options: Parameters<typeof showResults>[1]) =>
      done(await showResults(id, options, context)),
    );

  program
    .command('cancel')
    .argument('<batch>')
    .description('Cancels a batch. What was answered is kept.')
    .action(async (id: string) => done(await cancelBatch(id, context)));

  program
    .command('list')
    .description('Lists batches, newest first.')
    .option('-n, --limit <n>', 'at most this many', wholeNumber(1, maxWhole), 20)
    .action(async (options: Parameters<typeof listBatches>[0]) => done(await listBatches(options, context)));

  return program;
};

const usageError = 2;

/** What to say of an error: one line where it is of a known kind. */
const describeError = (error: unknown): string => {
  if (error instanceof CliError || error instanceof ConfigError || error instanceof EmbeddedRedisError)
    return error.message;
  const { code, message, stack } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE')
    return `the port is taken (${message}): choose another with --port, or for serve with PORT`;
  return code === undefined ? (stack ?? String(error)) : message;
};

/** Runs one command line. Never throws. */
export const runCli = async (argv: readonly string[], context: CliContext): Promise<number> => {
  let exitCode = 0;
  const program = createProgram(context, (code) => (exitCode = code));
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageError;
    if (context.signal.aborted && context.signal.reason instanceof StopRequest) return context.signal.reason.exitCode;
    context.screen.write(`error: ${describeError(error)}\n`);
    return 1;
  }
};
