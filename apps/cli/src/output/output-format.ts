import { CliError } from '../cli-error.ts';

/** How results are written. `text` and `markdown` have the answers alone. */
export type OutputFormat = 'jsonl' | 'csv' | 'tsv' | 'parquet' | 'text' | 'markdown';

const formatsByExtension: Readonly<Record<string, OutputFormat>> = {
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  csv: 'csv',
  tsv: 'tsv',
  parquet: 'parquet',
  txt: 'text',
  md: 'markdown',
};

/** Whether a format has the input's columns beside each answer. */
export const hasColumns = (format: OutputFormat): boolean =>
  format === 'csv' || format === 'tsv' || format === 'parquet';

/**
 * The format in which results go to a file of this name, or to standard output (`-`).
 *
 * @throws CliError `output_unknown` when the name's ending is none that is written.
 */
export const outputFormatOf = (output: string): OutputFormat => {
  const extension = /\.([^./\\]+)$/.exec(output)?.[1]?.toLowerCase();
  if (output === '-' || extension === undefined) return 'jsonl';
  const format = formatsByExtension[extension];
  if (format === undefined)
    throw new CliError(
      'output_unknown',
      `cannot tell from its name what ${output} is to hold: it may end in ${Object.keys(formatsByExtension)
        .map((known) => `.${known}`)
        .join(', ')}`,
    );
  return format;
};
