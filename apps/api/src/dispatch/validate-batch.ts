import { type Batch, findBatchErrors, type LaneTable, onlyModel, type Tenants } from '@promptmill/core';
import type { BatchStore, FileRecords } from '@promptmill/queue';
import { findRefusal } from '../batches/find-refusal.ts';

export interface ValidateBatchOptions {
  readonly batches: BatchStore;
  readonly records: Pick<FileRecords, 'get'>;
  readonly lanes: LaneTable;
  readonly limitsOf: Tenants['limitsOf'];
  /** Most requests a batch may have. */
  readonly maxRequests: number;
  readonly now: () => number;
}

/** Decides `validating → in_progress` or `failed` from what the upload found; the input is not read again. */
export const createValidateBatch =
  ({ batches, records, lanes, limitsOf, maxRequests, now }: ValidateBatchOptions) =>
  async (batch: Batch): Promise<void> => {
    const summary = (await records.get(batch.tenant, batch.inputFileId))?.summary;
    if (!summary) {
      const message = `The input file ${batch.inputFileId} is gone.`;
      const errors = [{ code: 'file_not_found', message, param: 'input_file_id', line: null }];
      await batches.transition(batch.id, 'failed', now(), { errors });
      return;
    }
    const refusalOf = (model: string) => findRefusal(lanes, limitsOf(batch.tenant), model);
    const errors = findBatchErrors(summary, { endpoint: batch.endpoint, maxRequests, refusalOf });
    if (errors.length > 0) {
      await batches.transition(batch.id, 'failed', now(), { errors });
      return;
    }
    const model = onlyModel(summary);
    await batches.transition(batch.id, 'in_progress', now(), {
      total: summary.requests,
      ...(model === undefined ? {} : { model }),
    });
  };
