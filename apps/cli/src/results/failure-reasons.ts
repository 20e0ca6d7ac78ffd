import { readResult } from '../output/read-result.ts';
import { printableLine } from '../terminal.ts';

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

/** Counts reasons, from lines of error files. */
export const createReasonCounter = () => {
  const reasons = new Map<string, { count: number; readonly example: FailureExample }>();
  return {
    reasons: reasons as FailureReasons,
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

/** The reasons of several batches together; the first example of each reason stays. */
export const addReasons = (a: FailureReasons, b: FailureReasons): FailureReasons => {
  const sum = new Map(a);
  for (const [reason, { count, example }] of b) {
    const known = sum.get(reason);
    sum.set(reason, known ? { ...known, count: known.count + count } : { count, example });
  }
  return sum;
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
