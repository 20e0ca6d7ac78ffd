import { type InputFormat, partOf } from './input-format.ts';

/** `reviews.csv: row 7 (line 9)`, or `prompts.txt:7` as a compiler says it. */
export const placeOf = (name: string, format: InputFormat, number: number, line?: number): string =>
  partOf(format) === 'line'
    ? `${name}:${number}`
    : `${name}: ${number === 0 ? 'header' : `row ${number}`}${line === undefined ? '' : ` (line ${line})`}`;
