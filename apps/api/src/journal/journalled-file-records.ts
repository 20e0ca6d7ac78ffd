import type { FileRecord } from '@promptmill/core';
import type { FileRecords } from '@promptmill/queue';
import type { Journal } from './journal.ts';
import { lookTwice } from './look-twice.ts';

/**
 * The file records, each noted in the journal once it is written. One that is not there is looked for again when the
 * journal has been replayed.
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
