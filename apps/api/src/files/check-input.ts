import { isUtf8 } from 'node:buffer';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import {
  createInputSummary,
  type InputSummary,
  maxListedProblems,
  type ParsedLine,
  parseRequestLine,
} from '@promptmill/core';
import { createDuplicateFinder, type InputLine, readInput } from '@promptmill/files';

type Bytes = AsyncIterable<Uint8Array>;

/** The custom_ids of an input's valid requests, in order. */
async function* customIds(input: Bytes, maxLineBytes: number): AsyncGenerator<{ id: string; line: number }> {
  for await (const lines of readInput(input, parseRequestLine, { maxLineBytes }))
    for (const line of lines)
      if (!line.oversize && line.parsed.ok) yield { id: line.parsed.request.customId, line: line.number };
}

/**
 * Checks an input file while it is stored. A problem of a line is noted, not thrown: it makes a batch of the file fail.
 */
export const createInputCheck = (maxLineBytes: number) => {
  const summary = createInputSummary();
  const duplicates = createDuplicateFinder({ maxReported: maxListedProblems });

  const checkLine = (line: InputLine<ParsedLine>): void => {
    if (line.oversize) {
      const message = `This line has ${line.byteLength} bytes; a line may have ${maxLineBytes}.`;
      summary.addBadLine(line.number, { code: 'line_too_large', message, param: null });
      return;
    }
    if (!isUtf8(line.bytes)) {
      const message = 'This line is not valid UTF-8.';
      summary.addBadLine(line.number, { code: 'invalid_json_line', message, param: null });
      return;
    }
    const { parsed } = line;
    if (parsed.ok) {
      summary.addRequest(line.number, parsed.request);
      duplicates.add(parsed.request.customId, line.number);
    } else summary.addBadLine(line.number, parsed.problem);
  };

  const checkLines = async (input: Bytes): Promise<void> => {
    for await (const lines of readInput(input, parseRequestLine, { maxLineBytes })) lines.forEach(checkLine);
  };

  return {
    /** Yields the same bytes, and checks them on the way. */
    async *passThrough(input: Bytes): AsyncGenerator<Uint8Array> {
      const copy = new PassThrough();
      const checked = checkLines(copy);
      // It is awaited below; a failure until then must not count as unhandled.
      checked.catch(() => {});
      try {
        for await (const chunk of input) {
          if (!copy.write(chunk)) await Promise.race([once(copy, 'drain'), checked]);
          yield chunk;
        }
        copy.end();
        await checked;
      } finally {
        copy.destroy();
      }
    },

    /** @param reread reads the whole input again; called only when two custom_ids may be equal */
    async finish(reread: () => Promise<Bytes>): Promise<InputSummary> {
      if (duplicates.candidateCount() > 0) {
        const found = await duplicates.confirm(async function* () {
          yield* customIds(await reread(), maxLineBytes);
        });
        for (const { id, line, firstLine } of found) {
          const message = `The custom_id '${id}' is used on line ${firstLine} already.`;
          summary.addProblem(line, { code: 'duplicate_custom_id', message, param: 'custom_id' });
        }
      }
      return summary.finish();
    },
  };
};
