import { Argument, Command, Option } from 'commander';
import { cancelBatch } from './commands/cancel.ts';
import { printCompletion, type Shell, shells } from './commands/completion.ts';
import type { DoctorOptions } from './commands/doctor.ts';
import { init, type InitOptions } from './commands/init.ts';
import { listBatches } from './commands/list.ts';
import { pauseBatch } from './commands/pause.ts';
import { showResults } from './commands/results.ts';
import { resumeBatch, type ResumeOptions } from './commands/resume.ts';
import { retryBatch, type RetryOptions } from './commands/retry.ts';
import type { run } from './commands/run.ts';
import type { serve } from './commands/serve.ts';
import { showStatus } from './commands/status.ts';
import { submit } from './commands/submit.ts';
import { watch } from './commands/watch.ts';
import type { CliContext } from './context.ts';
import { addFileCommands } from './files/file-commands.ts';
import { addKeyCommands } from './keys/key-commands.ts';
import {
  completionHelp,
  initHelp,
  overview,
  resultsHelp,
  retryHelp,
  runHelp,
  serveHelp,
  submitHelp,
} from './help-texts.ts';
import { addPromptOptions, maxWhole, positiveNumber, wholeNumber } from './input/prompt-options.ts';

const inputArgument = '.txt, .jsonl, .json, .csv, .tsv, .parquet, each also with .gz, or -';
const runArgument = `a folder of such files, or one: ${inputArgument}`;
const answersOption = (): Option =>
  new Option('--answers', 'print the answers alone, on standard output').conflicts('output');

/**
 * The commands and their options, as `--help` shows them. `run`, `serve` and `doctor` are imported only when they are
 * called: the other commands need not wait until all roles are loaded.
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

  addPromptOptions(program.command('run').argument('<input>', runArgument))
    .description('Runs a file of prompts here and now, with nothing else to set up.')
    .option(
      '-o, --output <file>',
      'where the results go: .jsonl, .csv, .tsv, .parquet, .txt, .md or - (default: <input>.results.jsonl, for a table one of its kind)',
    )
    .addOption(answersOption())
    .option('-c, --concurrency <n>', 'most calls in flight (default: as the provider allows)', wholeNumber(1, 10_000))
    .addOption(
      new Option('--requests-per-second <n>', 'most calls started in a second, such as 10 or 0.5')
        .argParser(positiveNumber)
        .conflicts('requestsPerMinute'),
    )
    .option('--requests-per-minute <n>', 'most calls started in a minute', wholeNumber(1, maxWhole))
    .option('--tokens-per-minute <n>', 'most input and output tokens in a minute', wholeNumber(1, maxWhole))
    .option('--timeout <seconds>', 'longest time one call may take (default: 120)', wholeNumber(1, 86_400))
    .option('--data-dir <folder>', 'where work in progress is kept (default: ./data)')
    .option(
      '--port <n>',
      'port of the api and Bull Board on 127.0.0.1 (default: any free port)',
      wholeNumber(0, 65_535),
    )
    .option('--fresh', 'forget an earlier run of the same input, and pay for every request again')
    .addOption(
      new Option('--retry-failed', 'run only the failed requests of the finished run again').conflicts('fresh'),
    )
    .option('--stream', 'show the answers while they are being written')
    .option('-q, --quiet', 'print errors only')
    .addHelpText('after', runHelp)
    .action(async (input: string, options: Parameters<typeof run>[1]) => {
      const { run } = await import('./commands/run.ts');
      done(await run(input, { ...options, words: program.args }, context));
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

  addPromptOptions(program.command('submit').argument('<input>', inputArgument))
    .description('Creates a batch from a file of prompts on a server, and prints its id.')
    .option('--cache <age>', 'take answers of your batches with --cache that are no older, 1h to 30d, such as 7d')
    .option('--watch', 'show its progress until it ends')
    .option('--wait', 'wait until it ends, and print nothing more')
    .addHelpText('after', submitHelp)
    .action(async (input: string, options: Parameters<typeof submit>[1]) =>
      done(await submit(input, options, context)),
    );

  program
    .command('status')
    .argument('<batch>')
    .description('Shows the status and the counts of a batch.')
    .option('--json', "print the batch as OpenAI's object, as into a pipe")
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
    .description("Prints a batch's results, one line for each request.")
    .option('-o, --output <file>', 'file to write them to, once all are there (default: standard output)')
    .addOption(answersOption())
    .option('-f, --follow', 'wait for the results that are still to come')
    .addHelpText('after', resultsHelp)
    .action(async (id: string, options: Parameters<typeof showResults>[1]) =>
      done(await showResults(id, options, context)),
    );

  program
    .command('cancel')
    .argument('<batch>')
    .description('Cancels a batch. The results that it has are kept.')
    .action(async (id: string) => done(await cancelBatch(id, context)));

  program
    .command('pause')
    .argument('<batch>')
    .description('Pauses a batch: calls in flight end, and no new call is made. Its deadline does not move.')
    .action(async (id: string) => done(await pauseBatch(id, context)));

  program
    .command('resume')
    .argument('<batch>')
    .description('Resumes a paused batch where it stopped.')
    .option(
      '--max-cost <usd>',
      'what it may cost at most from now on; needed when it has reached its limit',
      positiveNumber,
    )
    .action(async (id: string, options: ResumeOptions) => done(await resumeBatch(id, options, context)));

  program
    .command('retry')
    .argument('<batch>')
    .description('Creates a new batch from the failed requests of a batch that has ended, and prints its id.')
    .option('--custom-id <id...>', 'retry these requests, failed or not')
    .option('--error-code <code...>', 'retry requests that failed with these codes, such as 503 or request_timeout')
    .option('--completion-window <window>', 'longest time that the batch may take, 1m to 30d (default: as before)')
    .addHelpText('after', retryHelp)
    .action(async (id: string, options: RetryOptions) => done(await retryBatch(id, options, context)));

  program
    .command('list')
    .description('Lists batches, newest first.')
    .option('-n, --limit <n>', 'most batches to list', wholeNumber(1, maxWhole), 20)
    .option('--json', "print an array of OpenAI's objects, as into a pipe")
    .action(async (options: Parameters<typeof listBatches>[0]) => done(await listBatches(options, context)));

  program
    .command('init')
    .description('Writes a commented promptmill.yaml into this folder. It replaces none.')
    .option('--provider <preset...>', 'presets to put into it; on a terminal it asks (default: whose key is set)')
    .addHelpText('after', initHelp)
    .action(async (options: InitOptions) => done(await init(options, context)));

  program
    .command('doctor')
    .description('Checks Redis, the data folder and the providers, and says what to do.')
    .option('--provider <name>', 'check only this provider, with a call of one token')
    .option('--call', 'make such a call to every provider whose key is set')
    .option('--model <model>', 'the model to call, as the provider names it (default: the first in promptmill.yaml)')
    .option('--json', 'print the checks as JSON')
    .action(async (options: DoctorOptions) => {
      const { doctor } = await import('./commands/doctor.ts');
      done(await doctor(options, context));
    });

  addFileCommands(program, context, done);
  addKeyCommands(program, context, done);

  program
    .command('completion')
    .addArgument(new Argument('<shell>').choices(shells))
    .description('Prints the script that lets a shell complete commands and options.')
    .addHelpText('after', completionHelp)
    .action((shell: Shell) => done(printCompletion(program, shell, context)));

  return program;
};
