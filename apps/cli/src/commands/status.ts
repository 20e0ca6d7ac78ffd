import { batchSummary } from '../results/batch-summary.ts';
import { connectToServer } from '../api/connect-to-server.ts';
import type { CliContext } from '../context.ts';
import { show } from '../show.ts';

export const showStatus = async (
  batchId: string,
  { json }: { readonly json?: boolean },
  context: CliContext,
): Promise<number> => {
  const batch = await connectToServer(context).getBatch(batchId);
  show(batch, { json, text: () => batchSummary(batch) }, context);
  return 0;
};
