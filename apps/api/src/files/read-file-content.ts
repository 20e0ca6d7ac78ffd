import { pipeline } from 'node:stream/promises';
import { ApiError, fileKey } from '@promptmill/core';
import type { ByteRange } from '@promptmill/files';
import type { Request } from 'express';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { FileParams } from './file-schemas.ts';
import { findFile } from './find-file.ts';

/**
 * The requested range of bytes, end exclusive. Undefined for the whole file, also when several ranges are requested.
 */
const rangeOf = (request: Request, bytes: number, etag: string): Required<ByteRange> | 'beyond the end' | undefined => {
  const ifRange = request.headers['if-range'];
  if (ifRange !== undefined && ifRange !== etag) return undefined;
  const ranges = request.range(bytes);
  if (ranges === -1) return 'beyond the end';
  if (!Array.isArray(ranges) || ranges.type !== 'bytes' || ranges.length !== 1 || !ranges[0]) return undefined;
  return { start: ranges[0].start, end: ranges[0].end + 1 };
};

/** `GET /v1/files/{file_id}/content`: streams the file, or a range of it. A file never changes: its id is its ETag. */
export const readFileContent =
  ({ records, files }: Pick<ApiDependencies, 'records' | 'files'>) =>
  async ({ tenant, params, request, response }: Call<FileParams>): Promise<void> => {
    const { id, bytes, filename } = await findFile(records, tenant, params.file_id);
    const etag = `"${id}"`;
    const range = rangeOf(request, bytes, etag);
    if (range === 'beyond the end') {
      response.set('content-range', `bytes */${bytes}`);
      throw new ApiError(416, 'The range lies beyond the end of the file.', { code: 'invalid_range' });
    }
    const { start, end } = range ?? { start: 0, end: bytes };
    const content = request.method === 'HEAD' ? undefined : await files.get(fileKey(id), { start, end });
    if (range) response.status(206).set('content-range', `bytes ${start}-${end - 1}/${bytes}`);
    response.attachment(filename).type('application/octet-stream');
    response.set({ 'accept-ranges': 'bytes', etag, 'content-length': String(end - start) });
    if (content) await pipeline(content, response);
    else response.end();
  };
