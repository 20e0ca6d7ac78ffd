import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { type BatchObject, buildLimits, type LimitsConfig } from '@promptmill/core';
import { loadConfig } from '@promptmill/runtime';
import { type ApiClient, createApiClient } from '../api/api-client.ts';
import { exitCodeOf } from '../results/batch-outcome.ts';
import { costText, countsText, tokensText } from '../results/batch-summary.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext, StopRequest } from '../context.ts';
import { formatDuration, plural } from '../format.ts';
import { readLines } from '../api/read-lines.ts';
import { nameOfInput } from '../input/open-input.ts';
import { showDryRun } from '../input/show-dry-run.ts';
import { prepareRun } from '../run/prepare-run.ts';
import type { PromptOptions } from '../input/prompt-options.ts';
import { outputVersion } from '../results/output-place.ts';
import { describeReasons, type FailureReasons } from '../results/publish-results.ts';
import { answerColumnsOf } from '../output/answer-columns.ts';
import { describeSources } from '../roles/describe-sources.ts';
import { plannedSimulatorUrl } from '../roles/start-simulator.ts';
import { runBatch } from '../run/run-batch.ts';
import { createRunRecordStore, type RunRecordStore } from '../run/run-record.ts';
import { startRun } from '../run/start-run.ts';

/** Limits in these options replace those of every lane. */
export interface RunOptions extends PromptOptions, LimitsConfig {
  readonly output?: string;
  /** Longest time that one call may take, in seconds. Default: the provider's. */
  readonly timeout?: number;
  readonly dataDir?: string;
  readonly port?: number;
  readonly fresh?: boolean;
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
  if (record?.batchId !== undefined) await client.cancelBatch(record.batchId).catch(() => {});
  await records.remove();
};

interface Ending {
  readonly batch: BatchObject;
  readonly reasons: FailureReasons;
  /** An absolute path, or `-` for standard output. */
  readonly output: string;
  readonly seconds: number;
}

const summary = ({ batch, reasons, output, seconds }: Ending): string =>
  [
    `${batch.status} in ${formatDuration(seconds)}: ${countsText(batch)}, ${tokensText(batch)}, ${costText(batch)}`,
    ...describeReasons(reasons).map((reason) => `  failed: ${reason}`),
    ...(output === '-' ? [] : [`results: ${output}`]),
  ].join('\n');

/** Runs an input to its end in this process, or carries on where an earlier process stopped. */
export const run = async (input: string, options: RunOptions, context: CliContext): Promise<number> => {
  const { screen, fetch, now, signal } = context;
  const startedAtMs = now();
  const { fresh = false, quiet = false, stream = false, timeout } = options;
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
  const finished = fresh ? undefined : (await records.load())?.finished;
  const present = await outputVersion(output);
  if (finished && present !== undefined && present === finished.output) {
    say(`${output} already holds the results of this run (${finished.failed} failed); --fresh runs it again`);
    return finished.failed === 0 ? 0 : 1;
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
      if (signal.aborted) say('stopping: calls in flight get 8 s to end (Ctrl-C again ends them at once)');
    });
    say(describeSources(started.config, providers));
    say(
      `${plural(prepared.requests, 'prompt')} of ${name}; watch them at ${started.url}/admin/queues ` +
        `(user ${boardUser}, password ${login.boardPassword})`,
    );
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
      },
      context,
    );
    say(summary({ batch, reasons, output, seconds: (now() - startedAtMs) / 1000 }));
    return exitCodeOf(batch);
  } catch (error) {
    if (error instanceof CliError && error.code === 'batch_failed') await rm(folder, { recursive: true, force: true });
    if (!signal.aborted) throw error;
    say('stopped; the same command carries on from here, and pays for no recorded answer again');
    return (signal.reason as StopRequest).exitCode;
  }
};
