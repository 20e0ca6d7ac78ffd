import type { IncomingMessage } from 'node:http';
import { Dicer } from '@fastify/busboy';
import { ApiError } from '@promptmill/core';
import { badRequest } from '../request-problem.ts';
import { parseDisposition } from './parse-disposition.ts';

export interface ReadUpload<T> {
  readonly fields: Readonly<Record<string, string>>;
  readonly filename: string;
  /** What `receive` resolved with. */
  readonly received: T;
}

export const maxFilenameLength = 255;

const maxFormParts = 22;
const maxFieldBytes = 4096;
const parserLimits = { maxHeaderPairs: 20, maxHeaderSize: 8192 };

const malformed = (cause: unknown): ApiError =>
  new ApiError(400, 'The upload is not well-formed multipart/form-data.', { code: 'invalid_multipart', cause });

const openParser = ({ 'content-type': type = '' }: IncomingMessage['headers']): Dicer => {
  if (!/^multipart\/form-data\b/i.test(type))
    throw new ApiError(400, 'Send the file as multipart/form-data.', { code: 'invalid_multipart' });
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]+)"|([^\s;"]+))/i.exec(type) ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined) throw malformed('no boundary');
  try {
    return new Dicer({ boundary, ...parserLimits });
  } catch (error) {
    throw malformed(error);
  }
};

/** The lines of a part's header, each by its name in lower case, with its bytes as Latin-1. */
type PartHeader = Readonly<Record<string, readonly string[] | undefined>>;

const describePart = (header: PartHeader) => {
  const line = Buffer.from(header['content-disposition']?.[0] ?? '', 'latin1').toString('utf8');
  const { name, filename } = parseDisposition(line) ?? {};
  const isFile = filename !== undefined || header['content-type']?.[0]?.trim() === 'application/octet-stream';
  return { name, filename, isFile };
};

/** How many bytes an upload has at most, with its fields; undefined when its length is not known. */
export const bytesAhead = ({ headers }: IncomingMessage): number | undefined => {
  const length = headers['content-length'];
  return length === undefined ? undefined : Number(length);
};

/**
 * Reads an upload of one file and its fields, in whatever order they come. The file goes to `receive` as it arrives;
 * when the upload breaks off or is refused, `receive` is aborted and has settled before this rejects.
 *
 * @param param the name of the file in the form
 */
export const readUpload = async <T>(
  request: IncomingMessage,
  param: 'file' | 'data',
  receive: (source: AsyncIterable<Uint8Array>, signal: AbortSignal) => Promise<T>,
): Promise<ReadUpload<T>> => {
  const parser = openParser(request.headers);
  const fields: Record<string, string> = {};
  const abort = new AbortController();
  const { promise: parsed, resolve: finish, reject: fail } = Promise.withResolvers<void>();
  let file: { readonly filename: string; readonly received: Promise<T> } | undefined;
  let parts = 0;

  const takeField = (name: string, source: Dicer.PartStream): void => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    // A part without bytes may end after the last one.
    fields[name] = '';
    source.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxFieldBytes) fail(malformed(`the field ${name} is too long`));
      else chunks.push(chunk);
    });
    source.on('end', () => (fields[name] = Buffer.concat(chunks).toString('utf8')));
  };

  const takeFile = (name: string, filename: string | undefined, source: Dicer.PartStream): void => {
    if (name !== param || file) {
      source.resume();
      fail(badRequest({ message: `Unknown parameter: '${name}'.`, code: 'unknown_parameter', param: name }));
      return;
    }
    if (filename && filename.length > maxFilenameLength) {
      source.resume();
      const message = `Invalid '${param}': its name has ${filename.length} characters; it may have ${maxFilenameLength}.`;
      fail(badRequest({ message, code: 'string_above_max_length', param }));
      return;
    }
    // A stream whose reader stops early would destroy itself, and that error would hide the reader's own.
    const chunks = source.iterator({ destroyOnReturn: false });
    const received = receive(chunks, abort.signal);
    received.catch(fail);
    file = { filename: filename || 'upload.jsonl', received };
  };

  parser.on('part', (source) => {
    source.on('error', (error) => fail(malformed(error)));
    source.on('header', (header) => {
      const { name, filename, isFile } = describePart(header as PartHeader);
      if (name === undefined || ++parts > maxFormParts) {
        source.resume();
        fail(malformed('a part has no name, or there are too many parts'));
      } else if (isFile) takeFile(name, filename, source);
      else takeField(name, source);
    });
  });
  parser.on('error', (error) => fail(malformed(error)));
  parser.on('finish', finish);
  const onClose = () => {
    if (!request.complete) fail(malformed('the connection closed'));
  };
  request.on('close', onClose);
  request.pipe(parser);

  try {
    await parsed;
    if (!file)
      throw badRequest({
        message: `Missing required parameter: '${param}'.`,
        code: 'missing_required_parameter',
        param,
      });
    return { fields, filename: file.filename, received: await file.received };
  } catch (error) {
    request.unpipe(parser);
    abort.abort(error);
    await file?.received.catch(() => {});
    throw error;
  } finally {
    request.off('close', onClose);
  }
};
