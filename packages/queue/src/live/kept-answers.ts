import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import { collectorGroup, type RecordedResults } from '../results/results-stream.ts';

/** Stands where an entry of the results stream names its batch. The entry has ids of kept calls, each on a line. */
export const keptAnswersName = 'kept-answers';

/** A part of a file in the file store, in bytes; `end` is exclusive. */
export interface StoredText {
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

const commitKeptAnswers = defineScript<
  [results: string, ...records: string[]],
  [group: string, ...placesAndStreamIds: string[]],
  null
>(new URL('./commit-kept-answers.lua', import.meta.url));

/** The collector's side of kept calls: it moves their answers into the file store. */
export const createKeptAnswers = (redis: RedisConnection, keys: Keys) => ({
  /** The text of an answer, and how long it is kept. Undefined: it has been moved, deleted, or has expired. */
  async read(id: string): Promise<{ readonly text: Buffer; readonly keepMs: number } | undefined> {
    const [text, keepMs] = await redis.hmgetBuffer(keys.keptCall(id), 'text', 'keepMs');
    return text ? { text, keepMs: Number(keepMs) } : undefined;
  },

  /** Notes where answers are, and deletes their entries from the stream. Done again, it changes nothing. */
  async commit(places: ReadonlyMap<string, StoredText>, entries: readonly RecordedResults[]): Promise<void> {
    await commitKeptAnswers(
      redis,
      [keys.results, ...[...places.keys()].map(keys.keptCall)],
      [
        collectorGroup,
        ...[...places.values()].map(({ key, start, end }) => `${key} ${start} ${end}`),
        ...entries.map(({ streamId }) => streamId),
      ],
    );
  },
});

export type KeptAnswers = ReturnType<typeof createKeptAnswers>;
