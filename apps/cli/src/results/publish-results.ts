import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { printableLine } from '../terminal.ts';
import { mergeResults, type MergeSources } from './merge-results.ts';
import { writeFileWhole } from '../write-file-whole.ts';

interface ErrorLine {
  readonly response: { readonly status_code: number; readonly body: unknown } | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

const maxReasons = 50;
const maxReasonLength = 160;

const providerMessage = (body: unknown): string | undefined => {
  const { error } = (body ?? {}) as { readonly error?: string | { readonly message?: unknown } };
  const message = typeof error === 'object' ? error.message : error;
  return typeof message === 'string' ? message : undefined;
};

const reasonOf = (line: string): string => {
  const { response, error } = JSON.parse(line) as ErrorLine;
  const reason = response
    ? `${response.status_code} ${providerMessage(response.body) ?? ''}`
    : `${error?.code}: ${error?.message}`;
  return printableLine(reason.replaceAll(/\s+/g, ' ').trim().slice(0, maxReasonLength));
};

/** How many requests failed, by reason. */
export type FailureReasons = ReadonlyMap<string, number>;

/**
 * Writes one result line for each request, in input order, to a file (whole or not at all) or to a stream.
 *
 * @returns how many requests failed, by reason.
 */
export const publishResults = async (sources: MergeSources, target: string | Writable): Promise<FailureReasons> => {
  const reasons = new Map<string, number>();
  async function* lines(): AsyncGenerator<string> {
    for await (const { line, from } of mergeResults(sources)) {
      if (from === 'errors') {
        const reason = reasonOf(line);
        const kept = reasons.has(reason) || reasons.size < maxReasons ? reason : 'other reasons';
        reasons.set(kept, (reasons.get(kept) ?? 0) + 1);
      }
      yield `${line}\n`;
    }
  }
  if (typeof target === 'string') await writeFileWhole(target, lines(), { access: 'shared' });
  else for await (const line of lines()) if (!target.write(line)) await once(target, 'drain');
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
