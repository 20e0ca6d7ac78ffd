import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { OutputFormat } from '../output/output-format.ts';
import { readResult } from '../output/read-result.ts';
import { type InputRows, onlyIds, writeResults } from '../output/write-results.ts';
import { printableLine } from '../terminal.ts';
import { writeFileWhole } from '../write-file-whole.ts';
import { mergeResults, type MergeSources } from './merge-results.ts';

const maxReasons = 50;
const maxReasonLength = 80;
const maxMessageLength = 300;

const cleaned = (text: string, maxLength: number): string =>
  printableLine(text.replaceAll(/\s+/g, ' ').trim().slice(0, maxLength));

/** One of the requests that failed for a reason. */
interface FailureExample {
  readonly customId: string;
  readonly message: string;
}

/** How many requests failed, by reason: a status with the provider's code, or a code. Each has the first as an example. */
export type FailureReasons = ReadonlyMap<string, { readonly count: number; readonly example: FailureExample }>;

export interface Publication {
  /** An absolute path, or a stream. */
  readonly target: string | Writable;
  readonly format: OutputFormat;
  /** Default: only the custom_ids are known. */
  readonly rows?: InputRows;
  /** Is told how many results have been written. */
  readonly onWritten?: (results: number) => void;
}

const countReasons = () => {
  const reasons = new Map<string, { count: number; readonly example: FailureExample }>();
  return {
    reasons,
    add(line: string): void {
      const { customId, failure } = readResult(line);
      const reason = cleaned(failure?.reason ?? '', maxReasonLength);
      const kept = reasons.has(reason) || reasons.size < maxReasons ? reason : 'other reasons';
      const known = reasons.get(kept);
      if (known) known.count++;
      else
        reasons.set(kept, {
          count: 1,
          example: {
            customId: cleaned(customId, maxReasonLength),
            message: cleaned(failure?.message ?? '', maxMessageLength),
          },
        });
    },
  };
};

/**
 * Writes the result of each request, in input order, to a file (whole or not at all) or to a stream.
 *
 * @returns how many requests failed, by reason.
 */
export const publishResults = async (
  sources: MergeSources,
  { target, format, rows = onlyIds, onWritten }: Publication,
): Promise<FailureReasons> => {
  const counter = countReasons();
  async function* lines(): AsyncGenerator<string> {
    let written = 0;
    for await (const { line, from } of mergeResults(sources)) {
      if (from === 'errors') counter.add(line);
      yield line;
      onWritten?.(++written);
    }
  }
  const chunks = writeResults(lines(), format, rows);
  if (typeof target === 'string') await writeFileWhole(target, chunks, { access: 'shared' });
  else for await (const chunk of chunks) if (!target.write(chunk)) await once(target, 'drain');
  return counter.reasons;
};

const listedReasons = 5;

const shortened = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, Math.max(0, length - 1))}…`;

/**
 * The most frequent reasons, one line each: `12 × 401 invalid_api_key, such as request-7: Incorrect API key provided`.
 *
 * @param columns longest line. Default: 160.
 */
export const describeReasons = (reasons: FailureReasons, columns = 160): string[] => {
  const sorted = [...reasons].sort(([, a], [, b]) => b.count - a.count);
  const rest = sorted.slice(listedReasons).reduce((sum, [, { count }]) => sum + count, 0);
  return [
    ...sorted.slice(0, listedReasons).map(([reason, { count, example }]) => {
      const shown = example.message === '' ? example.customId : `${example.customId}: ${example.message}`;
      return shortened(`${count} × ${reason}, such as ${shown}`, columns);
    }),
    ...(rest > 0 ? [`${rest} × other reasons`] : []),
  ];
};
