import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { type BatchObject, buildLimits, type LimitsConfig, type ServiceTier, type Strategy } from '@promptmill/core';
import { type ApiClient, createApiClient } from '../api/api-client.ts';
import { readLines } from '../api/read-lines.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { plural } from '@promptmill/core/display';
import { answerColumnsOf } from '../output/answer-columns.ts';
import type { FailureReasons } from '../results/failure-reasons.ts';
import { describeSources } from '../roles/describe-sources.ts';
import { boardUser, type RunLogin } from './embedded-env.ts';
import type { PlannedRun } from './plan-runs.ts';
import { runBatch } from './run-batch.ts';
import type { RunRecordStore } from './run-record.ts';
import { startRun } from './start-run.ts';

/** Limits in these options replace those of every lane. */
export interface PerformOptions extends LimitsConfig {
  readonly completionWindow: string;
  /** Longest time that one call may take, in seconds. Default: the provider's. */
  readonly timeout?: number;
  /** Forget an earlier run. */
  readonly fresh?: boolean;
  /** Run again only what failed. */
  readonly retryFailed?: boolean;
  /** Call requests that ask the same once. */
  readonly dedupe?: boolean | undefined;
  /** The tier that requests begin in. */
  readonly tier?: ServiceTier | undefined;
  /** Whether requests go through their provider's own batch API. */
  readonly strategy?: Strategy | undefined;
  readonly quiet?: boolean;
  /** Show the answers as they come, instead of the progress. */
  readonly stream?: boolean;
}

export interface PerformRun {
  readonly run: PlannedRun;
  readonly options: PerformOptions;
  /** What the run may cost at most, in USD. */
  readonly maxCost: number | undefined;
  /** The environment of the embedded roles. */
  readonly env: CliContext['env'];
  readonly login: RunLogin;
  readonly say: (text: string) => void;
}

/** Forgets an earlier run, and cancels its batch so that no more calls are made for it. */
const forgetEarlier = async (client: ApiClient, records: RunRecordStore): Promise<void> => {
  const record = await records.load().catch(() => undefined);
  // The server refuses when the batch has ended or is gone: no calls are made then either.
  for (const { batchId } of [record ?? {}, ...(record?.retries ?? [])])
    if (batchId !== undefined) await client.cancelBatch(batchId).catch(() => {});
  await records.remove();
};

/**
 * Runs a planned input to its end in this process, or carries on where an earlier process stopped.
 *
 * @throws CliError as `runBatch` does; after an abort the signal's reason or an error that came of it.
 */
export const performRun = async (
  { run, options, maxCost, env, login, say }: PerformRun,
  context: CliContext,
): Promise<{ readonly batch: BatchObject; readonly reasons: FailureReasons }> => {
  const { screen, fetch, signal } = context;
  const { name, prepared, inputPath, rowsPath, output, outputFormat, folder, schema, providers, records } = run;
  const { completionWindow, timeout, fresh = false, retryFailed = false, quiet = false, stream = false } = options;
  if (run.outputExists) say(`${output} is there already: it stays as it is until the results replace it`);
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
    return await runBatch(
      {
        client: connect(started.url),
        records,
        input: {
          path: inputPath,
          filename: basename(name),
          endpoint: prepared.endpoint,
          completionWindow,
          checkSchema: schema !== undefined,
          maxCost,
          dedupe: options.dedupe,
          tier: options.tier,
          strategy: options.strategy,
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
  } catch (error) {
    if (error instanceof CliError && error.code === 'batch_failed') await rm(folder, { recursive: true, force: true });
    throw error;
  }
};
