import { type InputFormat, partOf } from './input-format.ts';

const inFile = (format: InputFormat, number: number, line: number | undefined): string => {
  if (partOf(format) === 'line') return `line ${number}`;
  return `${number === 0 ? 'header' : `row ${number}`}${line === undefined ? '' : ` (line ${line})`}`;
};

/**
 * `reviews.csv: row 7 (line 9)`, or `prompts.txt:7` as a compiler says it.
 *
 * @param name of the file; undefined where it is clear which file is meant: `row 7 (line 9)`, `line 7`.
 */
export const placeOf = (name: string | undefined, format: InputFormat, number: number, line?: number): string => {
  if (name !== undefined && partOf(format) === 'line') return `${name}:${number}`;
  return `${name === undefined ? '' : `${name}: `}${inFile(format, number, line)}`;
};
