import { countsText } from '../results/batch-summary.ts';
import { connectToServer } from '../api/connect-to-server.ts';
import type { CliContext } from '../context.ts';
import { printable } from '../terminal.ts';

export const pauseBatch = async (batchId: string, context: CliContext): Promise<number> => {
  const batch = await connectToServer(context).pauseBatch(batchId);
  context.stdout.write(
    printable(`${batch.id} is paused: ${countsText(batch)}; promptmill resume ${batch.id} lets it go on\n`),
  );
  return 0;
};
