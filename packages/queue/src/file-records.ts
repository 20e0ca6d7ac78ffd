import type { FilePurpose, FileRecord } from '@promptmill/core';
import { createCreatedIndex, type Page } from './created-index.ts';
import type { Keys } from './keys.ts';
import type { RedisConnection } from './redis.ts';
import { createScripts } from './scripts.ts';

export interface FileListOptions {
  readonly after?: string | undefined;
  readonly limit: number;
  readonly order: 'asc' | 'desc';
  readonly purpose?: FilePurpose | undefined;
}

/** What is known of each tenant's files; their bytes rest in the file store. */
export const createFileRecords = (redis: RedisConnection, keys: Keys) => {
  const index = createCreatedIndex(redis, createScripts(redis), keys);

  const get = async (tenant: string, id: string): Promise<FileRecord | undefined> => {
    const text = await redis.get(keys.file(tenant, id));
    return text === null ? undefined : (JSON.parse(text) as FileRecord);
  };

  return {
    get,

    /** Writing a file's record again changes nothing but the record: it keeps its place in lists. */
    async put(file: FileRecord): Promise<void> {
      await redis.set(keys.file(file.tenant, file.id), JSON.stringify(file));
      await index.add(keys.fileIndex(file.tenant), file.id, file.createdAt * 1000);
    },

    async delete(tenant: string, id: string): Promise<boolean> {
      await index.remove(keys.fileIndex(tenant), tenant, id);
      return (await redis.del(keys.file(tenant, id))) === 1;
    },

    /** undefined when `after` is no file of this tenant. */
    async list(tenant: string, options: FileListOptions): Promise<Page<FileRecord> | undefined> {
      const { limit, order, purpose } = options;
      const found: FileRecord[] = [];
      let { after } = options;
      // One more than asked for tells whether there are more. A purpose may skip many, so read on until it is found.
      while (found.length <= limit) {
        const ids = await index.ids(keys.fileIndex(tenant), tenant, { after, limit: limit + 1, order });
        if (!ids) return undefined;
        const files = await Promise.all(ids.map((id) => get(tenant, id)));
        found.push(
          ...files.filter((file) => file !== undefined).filter((file) => !purpose || file.purpose === purpose),
        );
        if (ids.length <= limit) break;
        after = ids.at(-1);
      }
      return { items: found.slice(0, limit), hasMore: found.length > limit };
    },
  };
};

export type FileRecords = ReturnType<typeof createFileRecords>;
