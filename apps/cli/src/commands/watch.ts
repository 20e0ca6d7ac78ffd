import { exitCodeOf } from '../batch-errors.ts';
import { batchSummary } from '../batch-summary.ts';
import { connectToServer } from '../connect.ts';
import type { CliContext } from '../context.ts';
import { createProgress } from '../progress.ts';
import { watchBatch } from '../watch-batch.ts';

/** Follows a batch to its end. Ctrl-C leaves the batch alone. */
export const watch = async (batchId: string, context: CliContext): Promise<number> => {
  const { screen, now, signal } = context;
  const progress = createProgress({ screen, now });
  const batch = await watchBatch(connectToServer(context), batchId, progress.update, signal).finally(progress.end);
  screen.write(`${batchSummary(batch)}\n`);
  return exitCodeOf(batch);
};
