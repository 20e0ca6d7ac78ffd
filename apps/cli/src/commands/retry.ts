import { randomUUID } from 'node:crypto';
import { connectToServer } from '../api/connect-to-server.ts';
import type { CliContext } from '../context.ts';
import { printableLine } from '../terminal.ts';

export interface RetryOptions {
  readonly customId?: readonly string[];
  readonly errorCode?: readonly string[];
  readonly completionWindow?: string;
}

/** Creates a new batch from requests of a batch that has ended. It prints only the new id to standard output. */
export const retryBatch = async (batchId: string, options: RetryOptions, context: CliContext): Promise<number> => {
  const { customId, errorCode, completionWindow } = options;
  const choice = {
    ...(customId ? { custom_ids: customId } : {}),
    ...(errorCode ? { error_codes: errorCode } : {}),
    ...(completionWindow === undefined ? {} : { completion_window: completionWindow }),
  };
  const batch = await connectToServer(context).retryBatch(batchId, choice, randomUUID());
  context.stdout.write(`${printableLine(batch.id)}\n`);
  context.screen.write(`promptmill watch ${batch.id} shows its progress, promptmill results ${batch.id} its results\n`);
  return 0;
};
