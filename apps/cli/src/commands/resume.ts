import { CliError } from '../cli-error.ts';
import { nextStepOf } from '../results/next-step.ts';
import { countsText } from '../results/batch-summary.ts';
import { connectToServer } from '../api/connect-to-server.ts';
import type { CliContext } from '../context.ts';
import { printable } from '../terminal.ts';

export interface ResumeOptions {
  /** In USD. */
  readonly maxCost?: number;
}

export const resumeBatch = async (
  batchId: string,
  { maxCost }: ResumeOptions,
  context: CliContext,
): Promise<number> => {
  const client = connectToServer(context);
  const batch = await client.resumeBatch(batchId, maxCost).catch(async (error: unknown) => {
    // The server's message says it in JSON.
    const next = error instanceof CliError && error.code === 'cost_limit' && nextStepOf(await client.getBatch(batchId));
    throw next ? new CliError('cost_limit', `the batch has reached its max_cost: ${next}`, { cause: error }) : error;
  });
  context.stdout.write(
    printable(`${batch.id} is resumed: ${countsText(batch)}; promptmill watch ${batch.id} shows its progress\n`),
  );
  return 0;
};
