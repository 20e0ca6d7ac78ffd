import { CliError } from '../cli-error.ts';

/** The custom_id in a line of an input or of results. */
export const customIdOf = (line: string): string => {
  const { custom_id: customId } = JSON.parse(line) as { readonly custom_id: string };
  return customId;
};

/** A line of the output or the error file. */
export interface MergedResult {
  readonly line: string;
  readonly from: 'output' | 'errors';
}

interface Head {
  readonly result: MergedResult;
  readonly customId: string;
}

const openHead = async (results: AsyncIterator<MergedResult>): Promise<Head | undefined> => {
  const next = await results.next();
  return next.done ? undefined : { result: next.value, customId: customIdOf(next.value.line) };
};

async function* resultsOf(lines: AsyncIterable<string>, from: MergedResult['from']): AsyncGenerator<MergedResult> {
  for await (const line of lines) yield { line, from };
}

export interface MergeSources {
  /** The batch's input lines. */
  readonly input: AsyncIterable<string>;
  readonly output: AsyncIterable<string>;
  readonly errors: AsyncIterable<string>;
  /**
   * The results of a batch that ran again all requests that failed in this one. They take the place of this one's errors.
   * Default: nothing ran again.
   */
  readonly retry?: AsyncGenerator<MergedResult> | undefined;
}

/**
 * Yields one result for each request, in input order. The output and the error file are in input order too, and so are
 * those of a batch that ran the failed requests again, so all are read side by side, with one line of each in memory.
 *
 * @throws CliError `result_missing` when neither file has a line for a request.
 */
export async function* mergeResults({ input, output, errors, retry }: MergeSources): AsyncGenerator<MergedResult> {
  const outputLines = resultsOf(output, 'output');
  const failedLines = retry ?? resultsOf(errors, 'errors');
  try {
    let good = await openHead(outputLines);
    let bad = await openHead(failedLines);
    for await (const line of input) {
      if (line.trim() === '') continue;
      const customId = customIdOf(line);
      if (good?.customId === customId) {
        yield good.result;
        good = await openHead(outputLines);
      } else if (bad?.customId === customId) {
        yield bad.result;
        bad = await openHead(failedLines);
      } else {
        throw new CliError('result_missing', `the server's files hold no result for the request ${customId}`);
      }
    }
  } finally {
    await Promise.all([outputLines.return(undefined), failedLines.return(undefined)]);
  }
}
