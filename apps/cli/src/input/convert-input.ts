import { isUtf8 } from 'node:buffer';
import { maxModels } from '@promptmill/core';
import { splitLines, type SplitLine } from '@promptmill/files';
import { convertLine, type ConvertedLine, type InputFormat, type LineDefaults } from './convert-line.ts';

export interface ConvertOptions {
  /** Default: `jsonl` when the first line that is not blank begins with `{`, else `text`. */
  readonly format?: InputFormat;
  readonly defaults: LineDefaults;
  /** A longer line is a problem. It is never held in memory whole. */
  readonly maxLineBytes: number;
}

interface InputProblem {
  /** The first line that has it, 1-based. */
  readonly line: number;
  readonly message: string;
  /** How many lines have it. */
  readonly lines: number;
}

/** What one pass over an input found. */
export interface Conversion {
  readonly requests: number;
  /** The first {@link maxListedProblems} that differ from each other. */
  readonly problems: readonly InputProblem[];
  /** How many lines have a problem, listed or not. */
  readonly badLines: number;
  /** The endpoint of the first request. */
  readonly endpoint?: string;
  /** For each model, the first line that names it; at most {@link maxModels} models. */
  readonly models: ReadonlyMap<string, number>;
}

const maxListedProblems = 10;

/** The format that a file's name tells; undefined when only its content can. */
export const formatOfName = (path: string): InputFormat | undefined => {
  if (/\.txt$/i.test(path)) return 'text';
  return /\.(jsonl|ndjson)$/i.test(path) ? 'jsonl' : undefined;
};

/**
 * Converts a user's input to lines of OpenAI's format. Each line becomes one line, so that line numbers stay the same: a
 * blank line stays blank, and a line with a problem becomes blank. Memory stays flat as the input grows.
 */
export async function* convertInput(
  source: AsyncIterable<Uint8Array>,
  { format: named, defaults, maxLineBytes }: ConvertOptions,
): AsyncGenerator<string, Conversion, undefined> {
  let format = named;
  let requests = 0;
  let badLines = 0;
  let endpoint: string | undefined;
  const problems = new Map<string, { line: number; message: string; lines: number }>();
  const models = new Map<string, number>();

  const addProblem = (line: number, message: string): void => {
    badLines++;
    const known = problems.get(message);
    if (known) known.lines++;
    else if (problems.size < maxListedProblems) problems.set(message, { line, message, lines: 1 });
  };
  const convert = (line: SplitLine): ConvertedLine => {
    if (line.oversize) return { kind: 'problem', message: `longer than ${maxLineBytes} bytes` };
    if (!isUtf8(line.bytes)) return { kind: 'problem', message: 'not UTF-8 text' };
    const text = line.bytes.toString();
    const first = text.trimStart()[0];
    if (format === undefined && first === '[')
      return { kind: 'problem', message: 'looks like a JSON array: write one JSON object a line' };
    if (first !== undefined) format ??= first === '{' ? 'jsonl' : 'text';
    return convertLine(text, { number: line.number, format: format ?? 'text', defaults });
  };

  for await (const lines of splitLines(source, { maxLineBytes })) {
    let block = '';
    for (const line of lines) {
      const converted = convert(line);
      if (converted.kind === 'problem') {
        addProblem(line.number, converted.message);
      } else if (converted.kind === 'request') {
        requests++;
        const { url, body } = converted.request;
        endpoint ??= url;
        if (!models.has(body.model) && models.size < maxModels) models.set(body.model, line.number);
        block += converted.line;
      }
      block += '\n';
    }
    yield block;
  }
  return {
    requests,
    problems: [...problems.values()],
    badLines,
    models,
    ...(endpoint === undefined ? {} : { endpoint }),
  };
}
