import { exitCodeOf } from '../results/batch-outcome.ts';
import { connectToServer } from '../api/connect-to-server.ts';
import type { CliContext } from '../context.ts';
import { nextStepOf } from '../results/next-step.ts';
import { createProgress } from '../progress/progress.ts';
import { showEnding } from '../results/show-ending.ts';
import { watchBatch } from '../progress/watch-batch.ts';

/** Shows a batch's progress until it is terminal. Ctrl-C leaves the batch alone. */
export const watch = async (batchId: string, context: CliContext): Promise<number> => {
  const { screen, now, signal } = context;
  if (screen.isTTY) screen.write('Ctrl-C stops watching; the batch goes on\n');
  const progress = createProgress({ screen, now, nextStep: nextStepOf });
  const client = connectToServer(context);
  const batch = await watchBatch(client, batchId, { onProgress: progress.update, signal }).finally(() => {
    progress.end();
    if (signal.aborted) screen.write(`the batch goes on; promptmill watch ${batchId} shows it again\n`);
  });
  await showEnding(client, batch, context);
  return exitCodeOf(batch);
};
