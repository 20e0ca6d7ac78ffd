import type { BatchObject } from '@promptmill/core';
import { connectToServer } from '../api/connect-to-server.ts';
import type { CliContext } from '../context.ts';
import { formatTime } from '../format.ts';
import { printableLine } from '../terminal.ts';
import { percentOf } from '../progress/progress-line.ts';

const maxPerPage = 100;

const row = (batch: BatchObject): string =>
  [
    batch.id,
    (batch.promptmill.paused_at === null ? batch.status : 'paused').padEnd(11),
    `${percentOf(batch)} %`.padStart(5),
    `${batch.request_counts.completed + batch.request_counts.failed}/${batch.request_counts.total}`.padStart(15),
    `${batch.request_counts.failed} failed`.padStart(12),
    formatTime(batch.created_at),
  ].join('  ');

export const listBatches = async ({ limit }: { readonly limit: number }, context: CliContext): Promise<number> => {
  const client = connectToServer(context);
  let left = limit;
  let after: string | undefined;
  while (left > 0) {
    const page = await client.listBatches({ limit: Math.min(left, maxPerPage), after });
    for (const batch of page.data) context.stdout.write(`${printableLine(row(batch))}\n`);
    left -= page.data.length;
    if (!page.has_more || page.last_id === null) break;
    after = page.last_id;
  }
  if (left === limit) context.screen.write('no batches yet\n');
  return 0;
};
