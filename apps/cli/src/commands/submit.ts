import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { loadConfig } from '@promptmill/runtime';
import { assertNotRefused, exitCodeOf } from '../results/batch-outcome.ts';
import type { BatchEstimate, NewBatch } from '../api/api-client.ts';
import { connectToServer } from '../api/connect-to-server.ts';
import type { CliContext } from '../context.ts';
import { confirmCost, type ConfirmOptions } from '../estimate/confirm-cost.ts';
import type { InputEstimate } from '../estimate/estimate-input.ts';
import { printableLine } from '../terminal.ts';
import { nameOfInput } from '../input/open-input.ts';
import { prepareInput } from '../input/prepare-input.ts';
import { nextStepOf } from '../results/next-step.ts';
import { createProgress } from '../progress/progress.ts';
import { type PromptOptions, resolvePromptOptions } from '../input/prompt-options.ts';
import { showDryRun } from '../input/show-dry-run.ts';
import { showEnding } from '../results/show-ending.ts';
import { watchBatch } from '../progress/watch-batch.ts';

export interface SubmitOptions extends PromptOptions, ConfirmOptions {
  /** How old an answer of an earlier batch may be that is taken in place of a call. */
  readonly cache?: string;
  /** Shows progress until the batch is terminal. */
  readonly watch?: boolean;
  /** Waits until the batch is terminal, and prints nothing more. */
  readonly wait?: boolean;
  /** Shows what would be called, and sends nothing. */
  readonly dryRun?: boolean;
}

/** No server takes a longer line. One that takes less refuses the batch, and says why. */
const maxLineBytes = 2 ** 28;

const estimateOf = ({ input_tokens, output_tokens, cost, models }: BatchEstimate): InputEstimate => ({
  inputTokens: input_tokens,
  outputTokens: output_tokens,
  usd: cost,
  unpriced: models.flatMap(({ model, cost: { low } }) => (low === null ? [model] : [])),
});

/** Creates a batch from an input on a server. It prints only the id to standard output. */
export const submit = async (input: string, options: SubmitOptions, context: CliContext): Promise<number> => {
  const { screen, stdout, now, signal } = context;
  if (options.dryRun)
    return showDryRun(
      { name: input, inputs: [input] },
      { options, maxLineBytes, lanes: loadConfig(context.env).lanes },
      context,
    );
  const resolved = await resolvePromptOptions(options);
  const client = connectToServer(context);
  const folder = await mkdtemp(join(tmpdir(), 'promptmill-'));
  let batchId: string;
  try {
    const path = join(folder, 'input.jsonl');
    const { endpoint, requests } = await prepareInput(input, { path, options: resolved, maxLineBytes }, context);
    const key = randomUUID();
    const file = await client.uploadFile({ path, filename: basename(nameOfInput(input)), idempotencyKey: key, signal });
    const batch: NewBatch = {
      input_file_id: file.id,
      endpoint,
      completion_window: options.completionWindow,
      promptmill: {
        check_schema: resolved.schema !== undefined,
        max_cost: options.maxCost,
        dedupe: options.dedupe,
        cache: options.cache,
        tier: options.tier,
        strategy: options.strategy,
      },
    };
    try {
      const estimate = async () => estimateOf(await client.estimateBatch(batch, signal));
      await confirmCost({ requests, estimate, options, say: (text) => screen.write(`${text}\n`) }, context);
    } catch (error) {
      // A file that stays nevertheless is removed when it expires.
      await client.deleteFile(file.id).catch(() => {});
      throw error;
    }
    ({ id: batchId } = await client.createBatch(batch, key));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  stdout.write(`${printableLine(batchId)}\n`);
  if (!options.watch && !options.wait) {
    screen.write(`promptmill watch ${batchId} shows its progress, promptmill results ${batchId} its results\n`);
    return 0;
  }

  const progress = options.watch ? createProgress({ screen, now, nextStep: nextStepOf }) : undefined;
  const batch = await watchBatch(client, batchId, { onProgress: (state) => progress?.update(state), signal }).finally(
    () => {
      progress?.end();
      if (signal.aborted) screen.write(`the batch goes on; promptmill watch ${batchId} shows it again\n`);
    },
  );
  assertNotRefused(batch, nameOfInput(input));
  if (options.watch) await showEnding(client, batch, context);
  return exitCodeOf(batch);
};
