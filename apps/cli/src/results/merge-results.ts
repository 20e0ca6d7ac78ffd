import { CliError } from '../cli-error.ts';

const customIdOf = (line: string): string => {
  const { custom_id: customId } = JSON.parse(line) as { readonly custom_id: string };
  return customId;
};

interface Head {
  readonly line: string;
  readonly customId: string;
}

const openHead = async (lines: AsyncIterator<string>): Promise<Head | undefined> => {
  const next = await lines.next();
  return next.done ? undefined : { line: next.value, customId: customIdOf(next.value) };
};

export interface MergeSources {
  /** The batch's input lines. */
  readonly input: AsyncIterable<string>;
  readonly output: AsyncIterable<string>;
  readonly errors: AsyncIterable<string>;
}

/** A line of the output or the error file. */
export interface MergedResult {
  readonly line: string;
  readonly from: 'output' | 'errors';
}

/**
 * Yields one result for each request, in input order. The output and the error file are in input order too, so all
 * three are read side by side, with one line of each in memory.
 *
 * @throws CliError `result_missing` when neither file has a line for a request.
 */
export async function* mergeResults({ input, output, errors }: MergeSources): AsyncGenerator<MergedResult> {
  const outputLines = output[Symbol.asyncIterator]();
  const errorLines = errors[Symbol.asyncIterator]();
  try {
    let good = await openHead(outputLines);
    let bad = await openHead(errorLines);
    for await (const line of input) {
      if (line.trim() === '') continue;
      const customId = customIdOf(line);
      if (good?.customId === customId) {
        yield { line: good.line, from: 'output' };
        good = await openHead(outputLines);
      } else if (bad?.customId === customId) {
        yield { line: bad.line, from: 'errors' };
        bad = await openHead(errorLines);
      } else {
        throw new CliError('result_missing', `the server's files hold no result for the request ${customId}`);
      }
    }
  } finally {
    await Promise.all([outputLines.return?.(), errorLines.return?.()]);
  }
}
