import { type FilePurpose, filePurposes, type FileRecord, type InputSummary } from '@promptmill/core';
import { createCreatedIndex, type Page } from '../indexes/created-index.ts';
import { createDueIndex } from '../indexes/due-index.ts';
import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';

const putFile = defineScript<[file: string, removed: string], [id: string, record: string], 0 | 1>(
  new URL('./put-file.lua', import.meta.url),
);
const useFile = defineScript<[file: string, uses: string], [batchId: string, nowSeconds: number], 0 | 1>(
  new URL('./use-file.lua', import.meta.url),
);
const deleteFile = defineScript<
  [file: string, uses: string, index: string, removed: string],
  [id: string, ...batchIdsAndTimes: (string | number)[]],
  'deleted' | 'missing' | string[]
>(new URL('./delete-file.lua', import.meta.url));

export interface FileListOptions {
  readonly after?: string | undefined;
  readonly limit: number;
  readonly order: 'asc' | 'desc';
  readonly purpose?: FilePurpose | undefined;
}

/** A batch that needs a file. */
export interface FileUse {
  readonly batchId: string;
  /** Unix seconds. */
  readonly since: number;
}

export type DeleteOutcome =
  | { readonly kind: 'deleted' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'in_use'; readonly uses: readonly FileUse[] };

/** Most records that one command reads. */
const recordsAtOnce = 100;

/** The records of each tenant's files. Their bytes are in the file store. */
export const createFileRecords = (redis: RedisConnection, keys: Keys) => {
  const index = createCreatedIndex(redis, keys);
  const due = createDueIndex(redis, keys);

  const get = async (tenant: string, id: string): Promise<FileRecord | undefined> => {
    const [text, summary] = await redis.mget(keys.file(tenant, id), keys.fileSummary(tenant, id));
    if (!text) return undefined;
    const record = JSON.parse(text) as FileRecord;
    return summary ? { ...record, summary: JSON.parse(summary) as InputSummary } : record;
  };

  /** The files that exist, without their summaries. */
  const getListed = async (tenant: string, ids: readonly string[]): Promise<FileRecord[]> => {
    const texts: (string | null)[] = [];
    for (let i = 0; i < ids.length; i += recordsAtOnce)
      texts.push(...(await redis.mget(ids.slice(i, i + recordsAtOnce).map((id) => keys.file(tenant, id)))));
    return texts.filter((text) => text !== null).map((text) => JSON.parse(text) as FileRecord);
  };

  return {
    get,

    /**
     * Writes a file's record. Writing it again changes only the record: the file keeps its place in lists. False when
     * the file was deleted in the last 24 hours: it stays deleted.
     */
    async put({ summary, ...file }: FileRecord): Promise<boolean> {
      const { id, tenant, purpose, expiresAt } = file;
      // The expiry is noted first, so that no file is kept for ever.
      if (expiresAt !== undefined) await due.set({ kind: 'file', tenant, id }, expiresAt * 1000);
      // Whoever finds the record finds its summary.
      if (summary) await redis.set(keys.fileSummary(tenant, id), JSON.stringify(summary));
      const isPut = await putFile(redis, [keys.file(tenant, id), keys.removed(tenant)], [id, JSON.stringify(file)]);
      if (isPut === 0) {
        await redis.del(keys.fileSummary(tenant, id));
        return false;
      }
      await index.add(keys.fileIndex(tenant), tenant, id, file.createdAt * 1000, keys.purposeIndex(tenant, purpose));
      return true;
    },

    /** Keeps a file from being deleted until {@link release}. False when there is no such file. */
    async use(tenant: string, id: string, batchId: string, nowMs: number): Promise<boolean> {
      const names = [keys.file(tenant, id), keys.fileUses(tenant, id)] as const;
      return (await useFile(redis, [...names], [batchId, Math.floor(nowMs / 1000)])) === 1;
    },

    async release(tenant: string, id: string, batchId: string): Promise<void> {
      await redis.zrem(keys.fileUses(tenant, id), batchId);
    },

    /**
     * Deletes the record. The caller then deletes the bytes.
     *
     * @param over uses from an earlier outcome that count no more
     */
    async delete(tenant: string, id: string, nowMs: number, over: readonly FileUse[] = []): Promise<DeleteOutcome> {
      const outcome = await deleteFile(
        redis,
        [keys.file(tenant, id), keys.fileUses(tenant, id), keys.fileIndex(tenant), keys.removed(tenant)],
        [id, ...over.flatMap(({ batchId, since }) => [batchId, since])],
      );
      if (typeof outcome !== 'string') {
        const uses: FileUse[] = [];
        for (let i = 0; i + 1 < outcome.length; i += 2)
          uses.push({ batchId: outcome[i] ?? '', since: Number(outcome[i + 1]) });
        return { kind: 'in_use', uses };
      }
      await redis.del(keys.fileSummary(tenant, id));
      const parts = filePurposes.map((purpose) => keys.purposeIndex(tenant, purpose));
      await index.remove(keys.fileIndex(tenant), tenant, id, nowMs, parts);
      return { kind: outcome };
    },

    /** A page of files, without their summaries. Undefined when `after` is no file of this tenant. */
    async list(tenant: string, options: FileListOptions): Promise<Page<FileRecord> | undefined> {
      const { limit, order, purpose } = options;
      const part = purpose && keys.purposeIndex(tenant, purpose);
      const found: FileRecord[] = [];
      let { after } = options;
      // One file more than `limit` tells whether there are more. A file that is being deleted may be listed yet.
      while (found.length <= limit) {
        const ids = await index.ids(keys.fileIndex(tenant), tenant, { after, limit: limit + 1, order, part });
        if (!ids) return undefined;
        found.push(...(await getListed(tenant, ids)));
        if (ids.length <= limit) break;
        after = ids.at(-1);
      }
      return { items: found.slice(0, limit), hasMore: found.length > limit };
    },
  };
};

export type FileRecords = ReturnType<typeof createFileRecords>;
