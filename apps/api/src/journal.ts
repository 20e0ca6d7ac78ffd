import { text } from 'node:stream/consumers';
import { fileKey, type FileRecord } from '@promptmill/core';
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
} from '@promptmill/queue';
import type { Logger } from '@promptmill/runtime';
import type { Queue } from 'bullmq';
import type { Creation } from './batches/creation.ts';
import type { ApiDependencies } from './dependencies.ts';

/** Something whose creation was, or is about to be, acknowledged. */
type Entry =
  | { readonly kind: 'file'; readonly record: FileRecord }
  | { readonly kind: 'batch'; readonly batch: NewBatch; readonly claim?: NewClaim<Creation> };

const hourMs = 3_600_000;
const folder = 'journal/';
/** Redis writes to its disk once a second or so; what it had for an hour it does not lose with its latest writes. */
const keptHours = 2;

const entryKey = (id: string, createdAt: number): string => `${folder}${Math.floor((createdAt * 1000) / hourMs)}/${id}`;

/**
 * Notes in the store what is acknowledged, so that it outlives a Redis that loses its latest writes. What cannot be noted
 * is created all the same: to refuse it would have it created twice.
 */
export const createJournal = (files: FileStore, logger: Logger) => {
  const note = async (id: string, createdAt: number, entry: Entry): Promise<void> => {
    try {
      await files.put(entryKey(id, createdAt), JSON.stringify(entry));
    } catch (error) {
      logger.warn({ err: error, id }, 'not noted in the journal');
    }
  };
  return {
    noteFile: (record: FileRecord) => note(record.id, record.createdAt, { kind: 'file', record }),
    /** @param claim the idempotency key it was created under */
    noteBatch: (batch: NewBatch, claim?: NewClaim<Creation>) =>
      note(batch.id, batch.createdAt, { kind: 'batch', batch, ...(claim ? { claim } : {}) }),
  };
};

export type Journal = ReturnType<typeof createJournal>;

export interface ReplayJournalOptions {
  readonly files: FileStore;
  readonly records: Pick<FileRecords, 'get' | 'put'>;
  readonly batches: Pick<BatchStore, 'get' | 'create' | 'confirmCreated'>;
  readonly batchesQueue: Queue<BatchJob>;
  readonly claims: Claims<Creation>;
  readonly logger: Logger;
  readonly now: () => number;
}

/** Writes again the files and batches of the last two hours that Redis does not know any more, and forgets older ones. */
export const createReplayJournal = (options: ReplayJournalOptions) => {
  const { files, records, batches, batchesQueue, claims, logger, now } = options;

  const restoreFile = async (record: FileRecord): Promise<boolean> => {
    const { id, tenant, expiresAt = Infinity } = record;
    if (await records.get(tenant, id)) return false;
    // One that was deleted or has expired has no bytes, or is about to have none.
    if (expiresAt * 1000 <= now() || (await files.size(fileKey(id))) === undefined) return false;
    return records.put(record);
  };

  const restoreBatch = async (batch: NewBatch, claim: NewClaim<Creation> | undefined): Promise<boolean> => {
    if (await batches.get(batch.id)) return false;
    if (claim) await claims.claim(claim);
    await batches.create(batch);
    await addBatchJob(batchesQueue, batch.id);
    await batches.confirmCreated(batch, batch.createdAt * 1000);
    return true;
  };

  return async (): Promise<void> => {
    const firstHour = Math.floor(now() / hourMs) - keptHours + 1;
    const old = new Set<string>();
    const entries: Entry[] = [];
    for await (const { key } of files.list(folder)) {
      const hour = key.slice(folder.length, key.lastIndexOf('/'));
      if (Number(hour) < firstHour) old.add(hour);
      else entries.push(JSON.parse(await text(await files.get(key))) as Entry);
    }
    // Files first: a batch is validated from its input's record.
    entries.sort((a, b) => b.kind.localeCompare(a.kind));
    for (const entry of entries) {
      const isRestored = await (entry.kind === 'file'
        ? restoreFile(entry.record)
        : restoreBatch(entry.batch, entry.claim));
      if (!isRestored) continue;
      const { id } = entry.kind === 'file' ? entry.record : entry.batch;
      logger.warn({ id }, `a ${entry.kind} that Redis had lost is restored`);
    }
    for (const hour of old) await files.deletePrefix(`${folder}${hour}/`);
  };
};

/** Replays the journal once `redis` is there, whenever it has been away, and once an hour. */
export const keepReplaying = (
  redis: ApiDependencies['redis'],
  replay: ReturnType<typeof createReplayJournal>,
  logger: Logger,
): { readonly replayed: () => Promise<void>; close(): Promise<void> } => {
  let running: Promise<void> | undefined;
  const run = (): void => {
    running ??= replay()
      .catch((error: unknown) => logger.warn({ err: error }, 'journal'))
      .finally(() => (running = undefined));
  };
  if (redis.status === 'ready') run();
  const stop = onBack(redis, run);
  const timer = setInterval(run, hourMs);
  return {
    /** Resolves when no replay is under way: what Redis has lost it knows again. */
    replayed: async () => running,
    async close() {
      clearInterval(timer);
      stop();
      await running;
    },
  };
};

/** Looks for something once more after a replay that is under way: it may be just being restored. */
export const lookTwice = async <T>(look: () => Promise<T | undefined>, replayed: () => Promise<void>) => {
  const found = await look();
  if (found !== undefined) return found;
  await replayed();
  return look();
};
