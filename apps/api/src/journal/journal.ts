import type { FileRecord, NewUpload } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import type { NewBatch, NewClaim, Pause } from '@promptmill/queue';
import type { Logger } from '@promptmill/runtime';
import type { Creation } from '../batches/creation.ts';

/** Something that was, or is about to be, acknowledged. */
export type JournalEntry =
  | { readonly kind: 'file'; readonly record: FileRecord }
  | { readonly kind: 'upload'; readonly upload: NewUpload }
  | { readonly kind: 'batch'; readonly batch: NewBatch; readonly claim?: NewClaim<Creation> }
  | { readonly kind: 'pause'; readonly id: string; readonly pause: Pause }
  | { readonly kind: 'cancel'; readonly id: string };

/** The journal has a folder for each hour. */
export const hourMs = 3_600_000;
export const journalFolder = 'journal/';

const entryKey = (name: string, atMs: number): string => `${journalFolder}${Math.floor(atMs / hourMs)}/${name}`;

/**
 * Notes in the file store what is acknowledged, so that it survives when Redis loses its latest writes. A request whose
 * note cannot be written is not refused: the client would send it again, and it would be done twice.
 */
export const createJournal = (files: FileStore, logger: Logger) => {
  const note = async (name: string, atMs: number, entry: JournalEntry): Promise<void> => {
    try {
      await files.put(entryKey(name, atMs), JSON.stringify(entry));
    } catch (error) {
      logger.warn({ err: error, name }, 'not noted in the journal');
    }
  };
  return {
    noteFile: (record: FileRecord) => note(record.id, record.createdAt * 1000, { kind: 'file', record }),
    noteUpload: (upload: NewUpload) => note(upload.id, upload.createdAt * 1000, { kind: 'upload', upload }),
    /** @param claim the idempotency key under which the batch was created */
    noteBatch: (batch: NewBatch, claim?: NewClaim<Creation>) =>
      note(batch.id, batch.createdAt * 1000, { kind: 'batch', batch, ...(claim ? { claim } : {}) }),
    notePause: (id: string, pause: Pause, nowMs: number) =>
      note(`${id}-pause-${pause.number}`, nowMs, { kind: 'pause', id, pause }),
    noteCancel: (id: string, nowMs: number) => note(`${id}-cancel`, nowMs, { kind: 'cancel', id }),
  };
};

export type Journal = ReturnType<typeof createJournal>;
