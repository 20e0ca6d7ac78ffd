import { buffer } from 'node:stream/consumers';
import { type FileRecord, fileKey } from '@promptmill/core';
import {
  type ByteRange,
  type Composition,
  detectFormat,
  InputError,
  type InputFormat,
  isGzip,
  parseTemplate,
  type RecordSource,
} from '@promptmill/files';
import type { ApiDependencies } from '../dependencies.ts';
import { findFile } from '../files/find-file.ts';
import { badRequest } from '../request-problem.ts';
import type { ConversionBody } from './conversion-schemas.ts';

const headBytes = 4096;

/** A file of prompts, and how they become requests. */
export interface Source {
  readonly file: FileRecord;
  readonly format: InputFormat;
  readonly records: RecordSource;
  readonly composition: Composition;
}

export type SourceDependencies = Pick<ApiDependencies, 'records' | 'files' | 'readParquetApart'>;

/** Runs a step. Throws a 400 for an {@link InputError}. */
const orRefuse = <T>(param: string, step: () => T): T => {
  try {
    return step();
  } catch (error) {
    if (error instanceof InputError) throw badRequest({ message: error.message, code: error.code, param });
    throw error;
  }
};

const compositionOf = ({ model, prompt, system, id_column, endpoint, params }: ConversionBody): Composition => {
  const defaults = { model, endpoint, ...(params && Object.keys(params).length > 0 ? { params } : {}) };
  if (prompt === undefined) return { ...defaults, system };
  const rows = {
    prompt: orRefuse('prompt', () => parseTemplate(prompt, 'prompt')),
    system: system === undefined ? undefined : orRefuse('system', () => parseTemplate(system, 'system')),
    idColumn: id_column,
  };
  return { ...defaults, rows };
};

export interface OpenSource {
  readonly tenant: string;
  readonly fileId: string;
  readonly body: ConversionBody;
  /** A row of a Parquet file with more characters is a problem. */
  readonly maxRowCharacters: number;
  /** Fires when the caller has left. */
  readonly signal: AbortSignal;
  /** No more of the file is read, where it is read from its start. Default: all. */
  readonly maxBytes?: number;
}

/** Finds out what a tenant's file holds. Throws a 404 for any other file, and a 400 when its format is not known. */
export const openSource = async (
  { records, files, readParquetApart }: SourceDependencies,
  { tenant, fileId, body, maxRowCharacters, signal, maxBytes }: OpenSource,
): Promise<Source> => {
  const composition = compositionOf(body);
  const file = await findFile(records, tenant, fileId);
  const key = fileKey(file.id);
  const read = async (range: ByteRange): Promise<Buffer> => buffer(await files.get(key, range));
  const head = await read({ start: 0, end: headBytes });
  if (isGzip(head))
    throw badRequest({
      message: `${file.filename} is compressed: unpack it.`,
      code: 'format_unknown',
      param: 'format',
    });
  const format = body.format ?? orRefuse('format', () => detectFormat(file.filename, head));

  async function* bytes(): AsyncGenerator<Uint8Array> {
    const range = maxBytes === undefined ? undefined : { start: 0, end: maxBytes };
    for await (const chunk of await files.get(key, range)) {
      signal.throwIfAborted();
      yield chunk as Uint8Array;
    }
  }
  const parquet = () => readParquetApart({ tenant, bytes: file.bytes, maxRowCharacters, read, signal });
  return { file, format, records: { format, bytes, parquet }, composition };
};
