import type { ResultsQuery } from './batch-schemas.ts';
import type { FoundResult } from './open-results.ts';
import { readFailure } from './read-failure.ts';

export type ResultFilter = (result: FoundResult) => boolean;

/** JSON may write a character beyond ASCII as it is, or as its code. */
const inAscii = (text: string): string =>
  text.replaceAll(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** The ways in which JSON may write a text, in small letters. */
const writtenAs = (text: string): string[] => {
  const quoted = JSON.stringify(text.toLowerCase()).slice(1, -1);
  return [...new Set([quoted, inAscii(quoted)])];
};

/** Whether a result is one that a query asks for; undefined when it asks for all. */
export const createResultFilter = (
  query: Pick<ResultsQuery, 'status' | 'error_code' | 'search'>,
): ResultFilter | undefined => {
  const { status, error_code: code, search } = query;
  if (status === undefined && code === undefined && !search) return undefined;
  const texts = search ? writtenAs(search) : [];
  return (result) => {
    if (status !== undefined && result.status !== status) return false;
    if (code !== undefined && (result.status !== 'failed' || !readFailure(result.line.toString()).codes.includes(code)))
      return false;
    if (texts.length === 0) return true;
    const line = result.line.toString().toLowerCase();
    return texts.some((text) => line.includes(text));
  };
};
