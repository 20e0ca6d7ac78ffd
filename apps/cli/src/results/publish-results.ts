import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { OutputFormat } from '../output/output-format.ts';
import { type InputRows, onlyIds, writeResults } from '../output/write-results.ts';
import { writeFileWhole } from '../write-file-whole.ts';
import { createReasonCounter, type FailureReasons } from './failure-reasons.ts';
import type { MergedResult } from './merge-results.ts';

export interface Publication {
  /** An absolute path, or a stream. */
  readonly target: string | Writable;
  readonly format: OutputFormat;
  /** Default: only the custom_ids are known. */
  readonly rows?: InputRows;
  /** Is told how many results have been written. */
  readonly onWritten?: (results: number) => void;
}

/**
 * Writes the result of each request, in input order, to a file (whole or not at all) or to a stream.
 *
 * @returns how many requests failed, by reason.
 */
export const publishResults = async (
  results: AsyncIterable<MergedResult>,
  { target, format, rows = onlyIds, onWritten }: Publication,
): Promise<FailureReasons> => {
  const counter = createReasonCounter();
  async function* lines(): AsyncGenerator<string> {
    let written = 0;
    for await (const { line, from } of results) {
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
