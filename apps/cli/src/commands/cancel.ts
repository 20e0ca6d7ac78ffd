import { countsText } from '../results/batch-summary.ts';
import { connectToServer } from '../api/connect-to-server.ts';
import type { CliContext } from '../context.ts';
import { printable } from '../terminal.ts';

export const cancelBatch = async (batchId: string, context: CliContext): Promise<number> => {
  const batch = await connectToServer(context).cancelBatch(batchId);
  const text = `${batch.id} is ${batch.status}: ${countsText(batch)}; the results that it has are kept\n`;
  context.stdout.write(printable(text));
  return 0;
};
