import type { FileStore } from '@promptmill/files';

/** Records by id, in memory and in the store, so that a simulator that was killed goes on. */
export interface Records<T> {
  get(id: string): T | undefined;
  /** Newest first. */
  list(): T[];
  /** Changes what is seen, and stores nothing. */
  show(record: T): void;
  /** Resolves when the record is stored. It can be seen at once. */
  put(record: T): Promise<void>;
  delete(id: string): Promise<void>;
}

/** @param folder of the records in the store, without a slash at its end */
export async function openRecords<T extends { readonly id: string; readonly createdAtMs: number }>(
  store: FileStore,
  folder: string,
): Promise<Records<T>> {
  const records = new Map<string, T>();
  const keyOf = (id: string) => `${folder}/${id}`;
  const stored: T[] = [];
  for await (const { key } of store.list(`${folder}/`)) {
    const bytes = await Array.fromAsync(await store.get(key));
    stored.push(JSON.parse(Buffer.concat(bytes as Buffer[]).toString()) as T);
  }
  for (const record of stored.sort((a, b) => a.createdAtMs - b.createdAtMs)) records.set(record.id, record);
  let last: Promise<unknown> = Promise.resolve();
  /** One write after the other, so that the latest record stays. */
  const inTurn = (write: () => Promise<unknown>): Promise<void> => {
    const written = last.then(write);
    last = written.catch(() => {});
    return written.then(() => {});
  };
  return {
    get: (id) => records.get(id),
    list: () => [...records.values()].toReversed(),
    show: (record) => void records.set(record.id, record),
    put(record) {
      records.set(record.id, record);
      return inTurn(() => store.put(keyOf(record.id), JSON.stringify(record)));
    },
    delete(id) {
      records.delete(id);
      return inTurn(() => store.delete(keyOf(id)));
    },
  };
}
