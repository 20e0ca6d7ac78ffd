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
  const batch = await connectToServer(context).resumeBatch(batchId, maxCost);
  context.stdout.write(printable(`${batch.id} is resumed: ${countsText(batch)}\n`));
  return 0;
};
