import { countsText } from '../results/batch-summary.ts';
import { connectToServer } from '../api/connect-to-server.ts';
import type { CliContext } from '../context.ts';

export const cancelBatch = async (batchId: string, context: CliContext): Promise<number> => {
  const batch = await connectToServer(context).cancelBatch(batchId);
  context.stdout.write(`${batch.id} is ${batch.status}: ${countsText(batch)}; the results that it has are kept\n`);
  return 0;
};
