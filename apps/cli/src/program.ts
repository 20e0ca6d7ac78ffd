import { Command, Option } from 'commander';
import { cancelBatch } from './commands/cancel.ts';
import type { DoctorOptions } from './commands/doctor.ts';
import { listBatches } from './commands/list.ts';
import { pauseBatch } from './commands/pause.ts';
import { showResults } from './commands/results.ts';
import { resumeBatch } from './commands/resume.ts';
import { retryBatch, type RetryOptions } from './commands/retry.ts';
import type { run } from './commands/run.ts';
import type { serve } from './commands/serve.ts';
import { showStatus } from './commands/status.ts';
import { submit } from './commands/submit.ts';
import { watch } from './commands/watch.ts';
import type { CliContext } from './context.ts';
import { overview, resultsHelp, retryHelp, runHelp, serveHelp, submitHelp } from './help-texts.ts';
import { addPromptOptions, maxWhole, positiveNumber, wholeNumber } from './input/prompt-options.ts';

/**
 * The commands and their options, as `--help` shows them. The roles are loaded for `run` and `serve` only: `status` must
 * not wait for them.
 */
export const createProgram = (context: CliContext, done: (exitCode: number) => void): Command => {
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
    .description('Runs a file of prompts here and now, with nothing else to set up.')
    .option('-o, --output <file>', 'where the results go, - for standard output (default: <input>.results.jsonl)')
    .option('-c, --concurrency <n>', 'calls in flight (default: as the provider allows)', wholeNumber(1, 10_000))
    .addOption(
      new Option('--requests-per-second <n>', 'calls started in a second, such as 10 or 0.5')
        .argParser(positiveNumber)
        .conflicts('requestsPerMinute'),
    )
    .option('--requests-per-minute <n>', 'calls started in a minute', wholeNumber(1, maxWhole))
    .option('--tokens-per-minute <n>', 'input and output tokens in a minute', wholeNumber(1, maxWhole))
    .option('--timeout <seconds>', 'longest time one call may take (default: 120)', wholeNumber(1, 86_400))
    .option('--data-dir <folder>', 'where work in progress is kept (default: ./data)')
    .option('--port <n>', 'of the api and Bull Board on 127.0.0.1 (default: any free one)', wholeNumber(0, 65_535))
    .option('--fresh', 'forget an earlier run of the same input, and pay for it again')
    .option('--stream', 'show the answers while they are being written')
    .option('-q, --quiet', 'say nothing but errors')
    .addHelpText('after', runHelp)
    .action(async (input: string, options: Parameters<typeof run>[1]) => {
      const { run } = await import('./commands/run.ts');
      done(await run(input, options, context));
    });

  program
    .command('serve')
    .description('Serves the HTTP API and Bull Board, with all roles in this process.')
    .option('--simulator', 'start the simulator too, for models such as simulator/echo')
    .addHelpText('after', serveHelp)
    .action(async (options: Parameters<typeof serve>[0]) => {
      const { serve } = await import('./commands/serve.ts');
      done(await serve(options, context));
    });

  addPromptOptions(program.command('submit').argument('<input>', '.txt, .jsonl or -'))
    .description('Makes a batch of a file of prompts on a server, and prints its id.')
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
    .command('pause')
    .argument('<batch>')
    .description('Pauses a batch: calls in flight end, and no other is made. Its deadline stands.')
    .action(async (id: string) => done(await pauseBatch(id, context)));

  program
    .command('resume')
    .argument('<batch>')
    .description('Lets a paused batch go on where it was.')
    .action(async (id: string) => done(await resumeBatch(id, context)));

  program
    .command('retry')
    .argument('<batch>')
    .description('Makes a new batch of the requests that failed in one that has ended, and prints its id.')
    .option('--custom-id <id...>', 'these requests, failed or not')
    .option('--error-code <code...>', 'those that failed so, such as 503 or request_timeout')
    .option('--completion-window <window>', 'how long it may take in all, 1h to 30d (default: as before)')
    .addHelpText('after', retryHelp)
    .action(async (id: string, options: RetryOptions) => done(await retryBatch(id, options, context)));

  program
    .command('list')
    .description('Lists batches, newest first.')
    .option('-n, --limit <n>', 'at most this many', wholeNumber(1, maxWhole), 20)
    .action(async (options: Parameters<typeof listBatches>[0]) => done(await listBatches(options, context)));

  program
    .command('doctor')
    .description('Checks Redis, the data folder and the providers, and says what to do.')
    .option('--provider <name>', 'check only this one, with a call of one token')
    .option('--call', 'make that call to every provider whose key is set')
    .option('--model <model>', 'the model to call, as the provider names it (default: the first in promptmill.yaml)')
    .option('--json', 'print what was found as JSON')
    .action(async (options: DoctorOptions) => {
      const { doctor } = await import('./commands/doctor.ts');
      done(await doctor(options, context));
    });

  return program;
};
