import type { BatchObject } from '@promptmill/core';
import { connectToServer } from '../api/connect-to-server.ts';
import type { CliContext } from '../context.ts';
import { formatCount, formatTime } from '@promptmill/core/display';
import { percentOf } from '../progress/progress-line.ts';
import { type Column, formatTable, show } from '../show.ts';

export interface ListOptions {
  readonly limit: number;
  readonly json?: boolean;
}

const maxPerPage = 100;

const columns: readonly Column[] = [
  { title: 'BATCH' },
  { title: 'STATUS' },
  { title: 'DONE', align: 'right' },
  { title: 'REQUESTS', align: 'right' },
  { title: 'FAILED', align: 'right' },
  { title: 'CREATED (UTC)' },
];

const rowOf = (batch: BatchObject): readonly string[] => [
  batch.id,
  batch.promptmill.paused_at === null ? batch.status : 'paused',
  `${percentOf(batch)} %`,
  formatCount(batch.request_counts.total),
  formatCount(batch.request_counts.failed),
  formatTime(batch.created_at),
];

export const listBatches = async ({ limit, json }: ListOptions, context: CliContext): Promise<number> => {
  const client = connectToServer(context);
  const batches: BatchObject[] = [];
  let after: string | undefined;
  while (batches.length < limit) {
    const page = await client.listBatches({ limit: Math.min(limit - batches.length, maxPerPage), after });
    batches.push(...page.data);
    if (!page.has_more || page.last_id === null) break;
    after = page.last_id;
  }
  if (batches.length === 0) context.screen.write('no batches yet: promptmill submit makes one\n');
  show(batches, { json, text: () => formatTable(columns, batches.map(rowOf)) }, context);
  return 0;
};
