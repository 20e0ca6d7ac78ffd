import { batchSummary } from '../results/batch-summary.ts';
import { connectToServer } from '../api/connect-to-server.ts';
import type { CliContext } from '../context.ts';
import { printable } from '../terminal.ts';

export const showStatus = async (
  batchId: string,
  { json }: { readonly json?: boolean },
  context: CliContext,
): Promise<number> => {
  const batch = await connectToServer(context).getBatch(batchId);
  context.stdout.write(json ? `${JSON.stringify(batch)}\n` : printable(`${batchSummary(batch)}\n`));
  return 0;
};
