import type { FileRecord } from '@promptmill/core';
import type { FileRecords } from '@promptmill/queue';
import type { Journal } from './journal.ts';
import { lookTwice } from './look-twice.ts';

/**
 * File records that are noted in the journal when they are written. When a record is not found while the journal is
 * replayed, it is looked for again after the replay.
 */
export const createJournalledFileRecords = (
  records: FileRecords,
  journal: Pick<Journal, 'noteFile'>,
  replayed: () => Promise<void>,
): FileRecords => ({
  ...records,
  get: (tenant, id) => lookTwice(() => records.get(tenant, id), replayed),
  async put(record: FileRecord): Promise<boolean> {
    const isPut = await records.put(record);
    if (isPut) await journal.noteFile(record);
    return isPut;
  },
});
