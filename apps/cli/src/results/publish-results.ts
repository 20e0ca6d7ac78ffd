import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { OutputFormat } from '../output/output-format.ts';
import { readResult } from '../output/read-result.ts';
import { type InputRows, onlyIds, writeResults } from '../output/write-results.ts';
import { printableLine } from '../terminal.ts';
import { writeFileWhole } from '../write-file-whole.ts';
import { mergeResults, type MergeSources } from './merge-results.ts';

const maxReasons = 50;
const maxReasonLength = 160;

const reasonOf = (line: string): string =>
  printableLine((readResult(line).error ?? '').replaceAll(/\s+/g, ' ').trim().slice(0, maxReasonLength));

/** How many requests failed, by reason. */
export type FailureReasons = ReadonlyMap<string, number>;

export interface Publication {
  /** An absolute path, or a stream. */
  readonly target: string | Writable;
  readonly format: OutputFormat;
  /** Default: only the custom_ids are known. */
  readonly rows?: InputRows;
}

/**
 * Writes the result of each request, in input order, to a file (whole or not at all) or to a stream.
 *
 * @returns how many requests failed, by reason.
 */
export const publishResults = async (
  sources: MergeSources,
  { target, format, rows = onlyIds }: Publication,
): Promise<FailureReasons> => {
  const reasons = new Map<string, number>();
  async function* lines(): AsyncGenerator<string> {
    for await (const { line, from } of mergeResults(sources)) {
      if (from === 'errors') {
        const reason = reasonOf(line);
        const kept = reasons.has(reason) || reasons.size < maxReasons ? reason : 'other reasons';
        reasons.set(kept, (reasons.get(kept) ?? 0) + 1);
      }
      yield line;
    }
  }
  const chunks = writeResults(lines(), format, rows);
  if (typeof target === 'string') await writeFileWhole(target, chunks, { access: 'shared' });
  else for await (const chunk of chunks) if (!target.write(chunk)) await once(target, 'drain');
  return reasons;
};

const listedReasons = 3;

/** The most frequent reasons, one line each: `12 × 401 Incorrect API key provided`. */
export const describeReasons = (reasons: FailureReasons): string[] => {
  const sorted = [...reasons].sort(([, a], [, b]) => b - a);
  const rest = sorted.slice(listedReasons).reduce((sum, [, count]) => sum + count, 0);
  return [
    ...sorted.slice(0, listedReasons).map(([reason, count]) => `${count} × ${reason}`),
    ...(rest > 0 ? [`${rest} × other reasons`] : []),
  ];
};
