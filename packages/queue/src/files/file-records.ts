import {
  type FilePurpose,
  filePurposes,
  type FileRecord,
  type InputSummary,
  type TenantLimits,
} from '@promptmill/core';
import { createCreatedIndex, type Page } from '../indexes/created-index.ts';
import { createDueIndex } from '../indexes/due-index.ts';
import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';

const putFile = defineScript<
  [file: string, removed: string, storedBytes: string, uploads: string, reservedBytes: string],
  [id: string, record: string, bytes: number],
  0 | 1
>(new URL('./put-file.lua', import.meta.url));
const useFile = defineScript<
  [file: string, uses: string, active: string, unfinished: string],
  [
    batchId: string,
    nowSeconds: number,
    requests: number,
    mostBatches: number | '',
    mostRequests: number | '',
    isCreated: 0 | 1,
  ],
  'noted' | 'missing' | ['batches' | 'requests', number]
>(new URL('./use-file.lua', import.meta.url));
const releaseFile = defineScript<[uses: string, active: string, unfinished: string], [batchId: string], null>(
  new URL('./release-file.lua', import.meta.url),
);
const deleteFile = defineScript<
  [
    file: string,
    uses: string,
    index: string,
    removed: string,
    storedBytes: string,
    uploads: string,
    reservedBytes: string,
  ],
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

/** A batch that is to use a file. */
export interface NewUse {
  readonly batchId: string;
  readonly requests: number;
  /** The tenant's limits. Undefined when the batch is created already: it counts, and no limit refuses it. */
  readonly limits?: Pick<TenantLimits, 'activeBatches' | 'queuedRequests'>;
}

export type UseOutcome =
  | { readonly kind: 'noted' }
  | { readonly kind: 'missing' }
  /** With this batch the tenant would have too many active batches, or requests in them; `used` is without it. */
  | { readonly kind: 'over limit'; readonly what: 'batches' | 'requests'; readonly used: number };
/** Most records that one command reads. */
const recordsAtOnce = 100;

/** The records of each tenant's files. Their bytes are in the file store. */
export const createFileRecords = (redis: RedisConnection, keys: Keys) => {
  const index = createCreatedIndex(redis, keys);
  const due = createDueIndex(redis, keys);

  const activeKeys = (tenant: string) => [keys.activeBatches(tenant), keys.unfinishedBatches(tenant)] as const;
  const bytesKeys = (tenant: string) =>
    [keys.storedBytes(tenant), keys.places(tenant, 'uploads'), keys.reservedBytes(tenant)] as const;

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
      const isPut = await putFile(
        redis,
        [keys.file(tenant, id), keys.removed(tenant), ...bytesKeys(tenant)],
        [id, JSON.stringify(file), file.bytes],
      );
      if (isPut === 0) {
        await redis.del(keys.fileSummary(tenant, id));
        return false;
      }
      await index.add(keys.fileIndex(tenant), tenant, id, file.createdAt * 1000, keys.purposeIndex(tenant, purpose));
      return true;
    },

    /** Keeps a file from being deleted, and counts the batch among the tenant's active batches, until {@link release}. */
    async use(tenant: string, id: string, { batchId, requests, limits }: NewUse, nowMs: number): Promise<UseOutcome> {
      const outcome = await useFile(
        redis,
        [keys.file(tenant, id), keys.fileUses(tenant, id), ...activeKeys(tenant)],
        [
          batchId,
          Math.floor(nowMs / 1000),
          requests,
          limits?.activeBatches ?? '',
          limits?.queuedRequests ?? '',
          limits ? 0 : 1,
        ],
      );
      if (typeof outcome === 'string') return { kind: outcome };
      const [what, used] = outcome;
      return { kind: 'over limit', what, used };
    },

    async release(tenant: string, id: string, batchId: string): Promise<void> {
      await releaseFile(redis, [keys.fileUses(tenant, id), ...activeKeys(tenant)], [batchId]);
    },

    /** What a tenant uses of its limits. */
    async used(tenant: string): Promise<{ activeBatches: number; queuedRequests: number; storedBytes: number }> {
      const [batches, requests, bytes] = await Promise.all([
        redis.hlen(keys.activeBatches(tenant)),
        redis.hget(keys.activeBatches(tenant), 'requests'),
        redis.get(keys.storedBytes(tenant)),
      ]);
      return {
        activeBatches: Math.max(0, batches - 1),
        queuedRequests: Number(requests ?? 0),
        storedBytes: Number(bytes ?? 0),
      };
    },

    /**
     * Deletes the record. The caller then deletes the bytes.
     *
     * @param over uses from an earlier outcome that count no more
     */
    async delete(tenant: string, id: string, nowMs: number, over: readonly FileUse[] = []): Promise<DeleteOutcome> {
      const outcome = await deleteFile(
        redis,
        [
          keys.file(tenant, id),
          keys.fileUses(tenant, id),
          keys.fileIndex(tenant),
          keys.removed(tenant),
          ...bytesKeys(tenant),
        ],
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

    count: (tenant: string): Promise<number> => redis.zcard(keys.fileIndex(tenant)),

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
