import type { Completion, NewUpload, Upload } from '@promptmill/core';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import { createDueIndex } from '../indexes/due-index.ts';
import type { Keys } from '../keys.ts';

type Ended = Exclude<Upload['status'], 'pending'>;

const addPart = defineScript<
  [upload: string, parts: string, storedBytes: string, uploads: string, reservedBytes: string],
  [partId: string, bytes: number, mostParts: number],
  'added' | 'missing' | 'full' | Ended
>(new URL('./add-part.lua', import.meta.url));
const beginCompletion = defineScript<
  [upload: string],
  [fileId: string, partsHash: string, lastsMs: number, lastFileId: string],
  'begun' | 'missing' | 'busy' | 'changed' | Ended
>(new URL('./begin-completion.lua', import.meta.url));
const endUpload = defineScript<
  [upload: string],
  [status: Ended, fileId: string],
  'ended' | 'missing' | 'busy' | 'changed' | Ended
>(new URL('./end-upload.lua', import.meta.url));
const removeParts = defineScript<[parts: string, storedBytes: string], [], null>(
  new URL('./remove-parts.lua', import.meta.url),
);

export interface NewPart {
  readonly id: string;
  readonly bytes: number;
}

/** A process that does not say that it is still at a completion has died after this time. */
const completionLastsMs = 10_000;
/** How often it must say so. */
export const keepCompletionEveryMs = 2000;
/** How long after its expiry an upload is swept. Who began to complete it in time has said so by then. */
const sweptAfterMs = 60_000;

/** The records of each tenant's uploads in parts. The parts themselves are in the file store. */
export const createUploadRecords = (redis: RedisConnection, keys: Keys) => {
  const due = createDueIndex(redis, keys);
  return {
    async get(tenant: string, id: string): Promise<Upload | undefined> {
      const { record, status, file, parts, until, refused } = await redis.hgetall(keys.upload(tenant, id));
      if (record === undefined) return undefined;
      return {
        ...(JSON.parse(record) as NewUpload),
        status: status as Upload['status'],
        ...(file !== undefined && parts !== undefined ? { completion: { fileId: file, partsHash: parts } } : {}),
        busyUntilMs: Number(until ?? 0),
        ...(refused === undefined ? {} : { refused: JSON.parse(refused) as NonNullable<Upload['refused']> }),
      };
    },

    async create(upload: NewUpload): Promise<void> {
      const { id, tenant, expiresAt } = upload;
      // The expiry is noted first, so that no upload is kept for ever.
      await due.set({ kind: 'upload', tenant, id }, expiresAt * 1000 + sweptAfterMs);
      await redis.hset(keys.upload(tenant, id), { record: JSON.stringify(upload), status: 'pending' });
    },

    /** Notes a part whose bytes are in the file store. */
    addPart: (tenant: string, id: string, part: NewPart, mostParts: number) =>
      addPart(
        redis,
        [
          keys.upload(tenant, id),
          keys.uploadParts(tenant, id),
          keys.storedBytes(tenant),
          keys.places(tenant, 'uploads'),
          keys.reservedBytes(tenant),
        ],
        [part.id, part.bytes, mostParts],
      ),

    /** The bytes of each part; undefined for one that is not noted. */
    async partBytes(tenant: string, id: string, partIds: readonly string[]): Promise<(number | undefined)[]> {
      if (partIds.length === 0) return [];
      const sizes = await redis.hmget(keys.uploadParts(tenant, id), ...partIds);
      return sizes.map((bytes) => (bytes === null ? undefined : Number(bytes)));
    },

    /**
     * Begins to make a file of the parts. Done again within 10 s it says that the process is still at it.
     *
     * @param last the last try that the caller knows
     */
    beginCompletion: (tenant: string, id: string, { fileId, partsHash }: Completion, last?: Completion) =>
      beginCompletion(redis, [keys.upload(tenant, id)], [fileId, partsHash, completionLastsMs, last?.fileId ?? '']),

    /** Lets others complete the upload. */
    async giveUpCompletion(tenant: string, id: string, { fileId, partsHash }: Completion): Promise<void> {
      await beginCompletion(redis, [keys.upload(tenant, id)], [fileId, partsHash, 0, '']);
    },

    /** Notes the MD5 of parts that was not what the client expected, so that a repeat is refused at once. */
    async noteRefused(tenant: string, id: string, refused: NonNullable<Upload['refused']>): Promise<void> {
      await redis.hset(keys.upload(tenant, id), { refused: JSON.stringify(refused) });
    },

    complete: (tenant: string, id: string, fileId: string) =>
      endUpload(redis, [keys.upload(tenant, id)], ['completed', fileId]),

    cancel: (tenant: string, id: string) => endUpload(redis, [keys.upload(tenant, id)], ['cancelled', '']),

    /** Forgets the parts. The caller has deleted their bytes. */
    async removeParts(tenant: string, id: string): Promise<void> {
      await removeParts(redis, [keys.uploadParts(tenant, id), keys.storedBytes(tenant)], []);
    },

    async remove(tenant: string, id: string): Promise<void> {
      await redis.del(keys.upload(tenant, id));
    },
  };
};

export type UploadRecords = ReturnType<typeof createUploadRecords>;
