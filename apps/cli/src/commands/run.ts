import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { buildLimits, type LimitsConfig } from '@promptmill/core';
import { loadConfig } from '@promptmill/runtime';
import { type ApiClient, createApiClient } from '../api/api-client.ts';
import { exitCodeOf } from '../results/batch-outcome.ts';
import { describeEnding } from '../results/describe-ending.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext, StopRequest } from '../context.ts';
import { plural } from '@promptmill/core/display';
import { readLines } from '../api/read-lines.ts';
import { nameOfInput } from '../input/open-input.ts';
import { showDryRun } from '../input/show-dry-run.ts';
import { prepareRun } from '../run/prepare-run.ts';
import type { PromptOptions } from '../input/prompt-options.ts';
import { outputVersion } from '../results/output-place.ts';
import { answerColumnsOf } from '../output/answer-columns.ts';
import { describeSources } from '../roles/describe-sources.ts';
import { plannedSimulatorUrl } from '../roles/start-simulator.ts';
import { runBatch } from '../run/run-batch.ts';
import { createRunRecordStore, finishedOf, type RunRecordStore } from '../run/run-record.ts';
import { startRun } from '../run/start-run.ts';
import { shellCommand } from '../shell-command.ts';

/** Limits in these options replace those of every lane. */
export interface RunOptions extends PromptOptions, LimitsConfig {
  readonly output?: string;
  /** Longest time that one call may take, in seconds. Default: the provider's. */
  readonly timeout?: number;
  readonly dataDir?: string;
  readonly port?: number;
  readonly fresh?: boolean;
  /** Runs again only what failed. */
  readonly retryFailed?: boolean;
  /** The words of the command line, from `run` on. */
  readonly words?: readonly string[];
  readonly quiet?: boolean;
  readonly stream?: boolean;
  /** Prints the answers alone. */
  readonly answers?: boolean;
  /** Shows what would be called, and calls nothing. */
  readonly dryRun?: boolean;
}

/** What opens a run's api and Bull Board. Every user of the machine can reach them, and only this process knows it. */
interface RunLogin {
  readonly apiKey: string;
  readonly boardPassword: string;
}

const boardUser = 'run';

const newLogin = (): RunLogin => ({
  apiKey: randomBytes(24).toString('base64url'),
  boardPassword: randomBytes(12).toString('base64url'),
});

/** The environment of the embedded roles: the user's, but on loopback only, with a key and a login of this run. */
const embeddedEnv = (
  env: CliContext['env'],
  { dataDir, concurrency, port }: RunOptions,
  { apiKey, boardPassword }: RunLogin,
): CliContext['env'] => ({
  ...env,
  HOST: '127.0.0.1',
  PORT: String(port ?? 0),
  // The tenant of a server without keys, so that a run of an earlier version goes on.
  PROMPTMILL_API_KEYS: `local:${apiKey}`,
  PROMPTMILL_ADMIN_KEY: undefined,
  BOARD_USER: boardUser,
  BOARD_PASSWORD: boardPassword,
  PROMPTMILL_ALLOWED_HOSTS: undefined,
  PROMPTMILL_TRUST_PROXY: undefined,
  PROMPTMILL_METRICS_TOKEN: undefined,
  SIMULATOR_BASE_URL: env['SIMULATOR_BASE_URL'] || plannedSimulatorUrl,
  ...(dataDir === undefined ? {} : { PROMPTMILL_DATA_DIR: dataDir }),
  ...(concurrency === undefined ? {} : { WORKER_CONCURRENCY: String(concurrency) }),
});

/** Forgets an earlier run, and cancels its batch so that no more calls are made for it. */
const forgetEarlier = async (client: ApiClient, records: RunRecordStore): Promise<void> => {
  const record = await records.load().catch(() => undefined);
  // The server refuses when the batch has ended or is gone: no calls are made then either.
  for (const { batchId } of [record ?? {}, ...(record?.retries ?? [])])
    if (batchId !== undefined) await client.cancelBatch(batchId).catch(() => {});
  await records.remove();
};

/** The same command, for what failed alone. */
const retryCommandOf = ({ words = ['run'] }: RunOptions): string =>
  shellCommand([
    'promptmill',
    ...words.filter((word) => word !== '--fresh' && word !== '--retry-failed'),
    '--retry-failed',
  ]);

/** Runs an input to its end in this process, or carries on where an earlier process stopped. */
export const run = async (input: string, options: RunOptions, context: CliContext): Promise<number> => {
  const { screen, fetch, now, signal } = context;
  const startedAtMs = now();
  const { fresh = false, quiet = false, stream = false, retryFailed = false, timeout } = options;
  const say = (text: string): void => {
    if (!quiet) screen.write(`${text}\n`);
  };
  const login = newLogin();
  const env = embeddedEnv(context.env, options, login);
  if (options.dryRun)
    return showDryRun(input, { options, stream, maxLineBytes: loadConfig(env).limits.maxLineBytes }, context);
  const name = nameOfInput(input);
  const {
    input: prepared,
    inputPath,
    rowsPath,
    output,
    outputFormat,
    folder,
    schema,
    providers,
  } = await prepareRun({ input, options, config: loadConfig(env) }, context);
  const records = createRunRecordStore(folder);
  const retryCommand = retryCommandOf(options);
  const record = fresh ? undefined : await records.load();
  const finished = record && finishedOf(record);
  const wantsRetry = retryFailed && finished !== undefined && finished.failed > 0;
  if (retryFailed && record === undefined)
    throw new CliError(
      'no_such_run',
      'nothing has run with this input, these options and this output: leave --retry-failed out',
    );
  const present = await outputVersion(output);
  if (finished && !wantsRetry && present !== undefined && present === finished.output) {
    const { failed } = finished;
    say(
      failed === 0
        ? `${output} already holds the results of this run, and none failed; --fresh runs it again`
        : `${output} already holds the results of this run (${failed} failed); --fresh runs it again, and what failed alone:\n` +
            `  ${retryCommand}`,
    );
    return failed === 0 ? 0 : 1;
  }
  if (present !== undefined) say(`${output} is there already: it stays as it is until the results replace it`);

  const connect = (baseUrl: string): ApiClient => createApiClient({ baseUrl, apiKey: login.apiKey, fetch });
  try {
    await using stack = new AsyncDisposableStack();
    const started = await startRun({
      env,
      folder,
      withSimulator: providers.has('simulator') && !context.env['SIMULATOR_BASE_URL'],
      overrides: { limits: buildLimits(options), ...(timeout === undefined ? {} : { timeoutMs: timeout * 1000 }) },
      beforeWork: fresh ? (url) => forgetEarlier(connect(url), records) : undefined,
    });
    stack.defer(() => started.close());
    stack.defer(() => {
      if (signal.aborted) say('stopping: calls in flight get 8 s to end');
    });
    say(describeSources(started.config, providers));
    say(
      `${plural(prepared.requests, 'prompt')} of ${name}; watch them at ${started.url}/admin/queues ` +
        `(user ${boardUser}, password ${login.boardPassword})`,
    );
    if (screen.isTTY) say('Ctrl-C stops, and the same command carries on; twice, it does not wait for calls in flight');
    const { batch, reasons } = await runBatch(
      {
        client: connect(started.url),
        records,
        input: {
          path: inputPath,
          filename: basename(name),
          endpoint: prepared.endpoint,
          completionWindow: options.completionWindow,
          checkSchema: schema !== undefined,
          maxCost: options.maxCost,
        },
        output,
        outputFormat,
        rows:
          rowsPath === undefined
            ? undefined
            : {
                columns: prepared.columns,
                lines: () => readLines(createReadStream(rowsPath)),
                answers: { columns: answerColumnsOf(schema), whole: false },
              },
        say,
        quiet,
        stream,
        retryFailed,
      },
      context,
    );
    say(
      describeEnding({
        batch,
        reasons,
        seconds: (now() - startedAtMs) / 1000,
        output: output === '-' ? undefined : output,
        retryCommand,
        columns: screen.isTTY ? screen.columns : undefined,
      }),
    );
    return exitCodeOf(batch);
  } catch (error) {
    if (error instanceof CliError && error.code === 'batch_failed') await rm(folder, { recursive: true, force: true });
    if (!signal.aborted) throw error;
    say('stopped; the same command carries on from here, and pays for no recorded answer again');
    return (signal.reason as StopRequest).exitCode;
  }
};
