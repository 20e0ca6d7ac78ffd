import type { IncomingMessage } from 'node:http';
import { Busboy, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy';
import { ApiError } from '@promptmill/core';
import { badRequest } from '../request-problem.ts';

export interface ReadUpload<T> {
  readonly fields: Readonly<Record<string, string>>;
  readonly filename: string;
  /** What `receive` resolved with. */
  readonly received: T;
}

export const maxFilenameLength = 255;

const limits = { files: 2, fields: 20, parts: 22, fieldSize: 4096, headerPairs: 20, headerSize: 8192 };

const malformed = (cause: unknown): ApiError =>
  new ApiError(400, 'The upload is not well-formed multipart/form-data.', { code: 'invalid_multipart', cause });

const openBusboy = (headers: IncomingMessage['headers']): BusboyInstance => {
  if (!/^multipart\/form-data\b/i.test(headers['content-type'] ?? ''))
    throw new ApiError(400, 'Send the file as multipart/form-data.', { code: 'invalid_multipart' });
  try {
    return new Busboy({ headers: headers as BusboyHeaders, limits });
  } catch (error) {
    throw malformed(error);
  }
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
  const busboy = openBusboy(request.headers);
  const fields: Record<string, string> = {};
  const abort = new AbortController();
  const { promise: parsed, resolve: finish, reject: fail } = Promise.withResolvers<void>();
  let file: { readonly filename: string; readonly received: Promise<T> } | undefined;

  busboy.on('field', (name, value, _nameTruncated, valueTruncated) => {
    if (valueTruncated) fail(malformed(`the field ${name} is too long`));
    else fields[name] = value;
  });
  busboy.on('file', (name, source, filename) => {
    source.on('error', (error) => fail(malformed(error)));
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
  });
  busboy.on('error', (error) => fail(malformed(error)));
  busboy.on('finish', finish);
  const onClose = () => {
    if (!request.complete) fail(malformed('the connection closed'));
  };
  request.on('close', onClose);
  request.pipe(busboy);

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
    request.unpipe(busboy);
    abort.abort(error);
    await file?.received.catch(() => {});
    throw error;
  } finally {
    request.off('close', onClose);
  }
};
