import { randomBytes } from 'node:crypto';
import { answersFolder, hourOf } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import type { DueIndex, KeptAnswers, RecordedResults, StoredText } from '@promptmill/queue';

export interface MoveAnswersOptions {
  readonly files: FileStore;
  readonly answers: KeptAnswers;
  readonly due: Pick<DueIndex, 'extend'>;
  readonly now: () => number;
}

const hourMs = 3_600_000;

/**
 * Moves answers of kept calls out of Redis, many into one file. An answer is first in the file store and then not in Redis
 * any more. One that two collectors have moved is in two files, and either will do.
 */
export const createMoveAnswers = ({ files, answers, due, now }: MoveAnswersOptions) => {
  return async (entries: readonly RecordedResults[]): Promise<void> => {
    const ids = new Set(entries.flatMap((entry) => String(entry.entries).split('\n')).filter((id) => id !== ''));
    const hour = hourOf(now());
    const key = `${answersFolder(hour)}${randomBytes(12).toString('hex')}`;
    const places = new Map<string, StoredText>();
    let start = 0;
    let longestKeepMs = 0;

    /** One answer at a time is in memory. */
    async function* texts(): AsyncGenerator<Buffer> {
      for (const id of ids) {
        const kept = await answers.read(id);
        if (!kept) continue;
        const end = start + kept.text.length;
        places.set(id, { key, start, end });
        start = end;
        longestKeepMs = Math.max(longestKeepMs, kept.keepMs);
        yield kept.text;
      }
    }

    await files.put(key, texts());
    if (places.size === 0) await files.delete(key);
    else await due.extend({ kind: 'answers', id: hour }, Date.parse(`${hour}:00Z`) + hourMs + longestKeepMs);
    await answers.commit(places, entries);
  };
};
