import { hash } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

/** A text to serve, in each way in which it may be sent. */
export interface EncodedFile {
  /** Its media type. */
  readonly type: string;
  readonly etag: string;
  readonly identity: Uint8Array;
  readonly gzip: Uint8Array;
  readonly br: Uint8Array;
}

export const encodeFile = async (type: string, content: string): Promise<EncodedFile> => {
  const identity = Buffer.from(content);
  // Quality 9 gives within 3 % of the smallest size in a tenth of the time.
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9 };
  const [br, gzipped] = await Promise.all([
    promisify(brotliCompress)(identity, { params }),
    promisify(gzip)(identity, { level: 9 }),
  ]);
  return { type, etag: `"${hash('sha256', identity).slice(0, 32)}"`, identity, gzip: gzipped, br };
};
