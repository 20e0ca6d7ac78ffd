import { text } from 'node:stream/consumers';
import { fileKey, type FileRecord, isTerminal, type NewUpload } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import {
  addBatchJob,
  type BatchJob,
  type BatchStore,
  type Claims,
  type FileRecords,
  type NewBatch,
  type NewClaim,
  onBack,
  type RedisConnection,
  type UploadRecords,
  wakeBatchJob,
} from '@promptmill/queue';
import type { Logger } from '@promptmill/runtime';
import type { Queue } from 'bullmq';
import { batchJobName } from '../batches/batch-job-name.ts';
import type { Creation } from '../batches/creation.ts';
import { hourMs, type JournalEntry, journalFolder } from './journal.ts';

/** A batch needs the record of its input, and a pause or cancel needs the batch. */
const order: readonly JournalEntry['kind'][] = ['file', 'upload', 'batch', 'pause', 'cancel'];

/** Redis writes to its disk about once a second: it does not lose what it has had for an hour. */
const keptHours = 2;

export interface ReplayJournalOptions {
  readonly files: FileStore;
  readonly records: Pick<FileRecords, 'get' | 'put'>;
  readonly uploads: Pick<UploadRecords, 'get' | 'create'>;
  readonly batches: Pick<BatchStore, 'get' | 'create' | 'confirmCreated' | 'pauseAgain' | 'transition'>;
  readonly batchesQueue: Queue<BatchJob>;
  readonly claims: Claims<Creation>;
  readonly logger: Logger;
  readonly now: () => number;
}

/** Repeats what was acknowledged in the last two hours and Redis has lost. Deletes older notes. */
export const createReplayJournal = (options: ReplayJournalOptions) => {
  const { files, records, uploads, batches, batchesQueue, claims, logger, now } = options;

  const restoreFile = async (record: FileRecord): Promise<boolean> => {
    const { id, tenant, expiresAt = Infinity } = record;
    if (await records.get(tenant, id)) return false;
    // The bytes of a deleted or expired file are gone, or will be soon.
    if (expiresAt * 1000 <= now() || (await files.size(fileKey(id))) === undefined) return false;
    return records.put(record);
  };

  const restoreUpload = async (upload: NewUpload): Promise<boolean> => {
    if (upload.expiresAt * 1000 <= now() || (await uploads.get(upload.tenant, upload.id))) return false;
    await uploads.create(upload);
    return true;
  };

  const restoreBatch = async (batch: NewBatch, claim: NewClaim<Creation> | undefined): Promise<boolean> => {
    const known = await batches.get(batch.id);
    if (known && isTerminal(known.status)) return false;
    if (!known) {
      if (claim) await claims.claim(claim);
      await batches.create(batch);
    }
    // Redis may have the record and have lost what was written after it. What is there stays as it is.
    const input = await records.get(batch.tenant, batch.inputFileId);
    await addBatchJob(batchesQueue, batch.id, batchJobName(batch, input));
    await batches.confirmCreated(batch, batch.createdAt * 1000);
    return !known;
  };

  /** Resolves with whether Redis had lost the entry. */
  const restore = async (entry: JournalEntry): Promise<boolean> => {
    if (entry.kind === 'file') return restoreFile(entry.record);
    if (entry.kind === 'upload') return restoreUpload(entry.upload);
    if (entry.kind === 'batch') return restoreBatch(entry.batch, entry.claim);
    const { kind } =
      entry.kind === 'pause'
        ? await batches.pauseAgain(entry.id, entry.pause)
        : await batches.transition(entry.id, 'cancelling', now(), { stopping: 'cancelled' });
    const isDone = kind === 'done' || kind === 'moved';
    if (isDone) await wakeBatchJob(batchesQueue, entry.id);
    return isDone;
  };

  return async (): Promise<void> => {
    const firstHour = Math.floor(now() / hourMs) - keptHours + 1;
    const old = new Set<string>();
    const entries: { readonly name: string; readonly entry: JournalEntry }[] = [];
    for await (const { key } of files.list(journalFolder)) {
      const [hour = '', name = ''] = key.slice(journalFolder.length).split('/');
      if (Number(hour) < firstHour) old.add(hour);
      else entries.push({ name, entry: JSON.parse(await text(await files.get(key))) as JournalEntry });
    }
    entries.sort((a, b) => order.indexOf(a.entry.kind) - order.indexOf(b.entry.kind));
    for (const { name, entry } of entries)
      if (await restore(entry)) logger.warn({ name }, `a ${entry.kind} that Redis had lost is restored`);
    for (const hour of old) await files.deletePrefix(`${journalFolder}${hour}/`);
  };
};

/** Replays the journal when `redis` is ready, each time it is back, and once an hour. */
export const keepReplaying = (
  redis: RedisConnection,
  replay: ReturnType<typeof createReplayJournal>,
  logger: Logger,
): { readonly replayed: () => Promise<void>; close(): Promise<void> } => {
  let running: Promise<void> | undefined;
  let isAskedFor = false;
  // Redis may go away and come back during a replay; what it lost then needs another replay.
  const replayWhileAskedFor = async (): Promise<void> => {
    while (isAskedFor) {
      isAskedFor = false;
      await replay().catch((error: unknown) => logger.warn({ err: error }, 'journal'));
    }
    running = undefined;
  };
  const run = (): void => {
    isAskedFor = true;
    running ??= replayWhileAskedFor();
  };
  if (redis.status === 'ready') run();
  const stop = onBack(redis, run);
  const timer = setInterval(run, hourMs);
  return {
    /** Resolves when no replay is under way: Redis then has again what it had lost. */
    replayed: async () => running,
    async close() {
      clearInterval(timer);
      stop();
      await running;
    },
  };
};
