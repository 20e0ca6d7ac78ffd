import { countsText } from '../results/batch-summary.ts';
import { connectToServer } from '../api/connect-to-server.ts';
import type { CliContext } from '../context.ts';
import { printable } from '../terminal.ts';

export const cancelBatch = async (batchId: string, context: CliContext): Promise<number> => {
  const batch = await connectToServer(context).cancelBatch(batchId);
  const text = `${batch.id} is ${batch.status}: ${countsText(batch)}; promptmill results ${batch.id} gets what it has\n`;
  context.stdout.write(printable(text));
  return 0;
};
