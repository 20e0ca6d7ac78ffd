import { plural } from '@promptmill/core/display';
import type { Conversion } from './convert-input.ts';
import { type InputFormat, partOf } from './input-format.ts';
import { placeOf } from './place-of.ts';

/**
 * What is wrong with an input, one text for each problem: where it is first, what it is, and how often.
 *
 * @param name of the file, as {@link placeOf} takes it.
 */
export const describeProblems = (
  name: string | undefined,
  format: InputFormat,
  { problems, badRecords }: Pick<Conversion, 'problems' | 'badRecords'>,
): string[] => {
  const part = partOf(format);
  const listed = problems.map(
    ({ number, line, message, count }) =>
      `${placeOf(name, format, number, line)}: ${message}${count > 1 ? ` (on ${plural(count, part)})` : ''}`,
  );
  const unlisted = badRecords - problems.reduce((sum, { count }) => sum + count, 0);
  return [...listed, ...(unlisted > 0 ? [`and problems on ${plural(unlisted, `more ${part}`)}`] : [])];
};
