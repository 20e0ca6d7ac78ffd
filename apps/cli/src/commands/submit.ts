import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { assertNotRefused, exitCodeOf } from '../results/batch-outcome.ts';
import { batchSummary } from '../results/batch-summary.ts';
import { connectToServer } from '../api/connect-to-server.ts';
import type { CliContext } from '../context.ts';
import { printableLine } from '../terminal.ts';
import { nameOfInput } from '../input/open-input.ts';
import { prepareInput } from '../input/prepare-input.ts';
import { createProgress } from '../progress/progress.ts';
import { type PromptOptions, resolvePromptOptions } from '../input/prompt-options.ts';
import { showDryRun } from '../input/show-dry-run.ts';
import { watchBatch } from '../progress/watch-batch.ts';

export interface SubmitOptions extends PromptOptions {
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

/** Creates a batch from an input on a server. It prints only the id to standard output. */
export const submit = async (input: string, options: SubmitOptions, context: CliContext): Promise<number> => {
  const { screen, stdout, now, signal } = context;
  if (options.dryRun) return showDryRun(input, { options, maxLineBytes }, context);
  const resolved = await resolvePromptOptions(options);
  const client = connectToServer(context);
  const folder = await mkdtemp(join(tmpdir(), 'promptmill-'));
  let batchId: string;
  try {
    const path = join(folder, 'input.jsonl');
    const { endpoint } = await prepareInput(input, { path, options: resolved, maxLineBytes }, context);
    const key = randomUUID();
    const file = await client.uploadFile({ path, filename: basename(nameOfInput(input)), idempotencyKey: key, signal });
    const batch = await client.createBatch(
      {
        input_file_id: file.id,
        endpoint,
        completion_window: options.completionWindow,
        promptmill: {
          check_schema: resolved.schema !== undefined,
          max_cost: options.maxCost,
          dedupe: options.dedupe,
          cache: options.cache,
        },
      },
      key,
    );
    batchId = batch.id;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  stdout.write(`${printableLine(batchId)}\n`);
  if (!options.watch && !options.wait) return 0;

  const progress = options.watch ? createProgress({ screen, now }) : undefined;
  const batch = await watchBatch(client, batchId, { onProgress: (state) => progress?.update(state), signal }).finally(
    progress?.end,
  );
  assertNotRefused(batch, nameOfInput(input));
  if (options.watch) screen.write(`${batchSummary(batch)}\n`);
  return exitCodeOf(batch);
};
