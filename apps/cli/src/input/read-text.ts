import { readFile } from 'node:fs/promises';
import { CliError } from '../cli-error.ts';

/** A text as it stands, or with `@` before it the content of the file that it names; `@@` begins a text with one `@`. */
export const readText = async (option: string, text: string | undefined): Promise<string | undefined> => {
  if (text?.startsWith('@') !== true) return text;
  if (text.startsWith('@@')) return text.slice(1);
  const path = text.slice(1);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path)).replace(/\r?\n$/, '');
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : 'it is no readable text';
    throw new CliError('options_invalid', `${option}: cannot read ${path}: ${why}`, { cause: error });
  }
};
