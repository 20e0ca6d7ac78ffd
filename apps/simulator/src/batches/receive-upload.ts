import type { IncomingMessage } from 'node:http';
import { Busboy } from '@fastify/busboy';
import { ApiError } from '@promptmill/core';

export interface Upload {
  readonly fields: Readonly<Record<string, string>>;
  readonly filename: string;
  readonly bytes: number;
}

/**
 * Reads a form with one file, which goes to `store` as it arrives.
 * @throws ApiError 400 for a body that is no such form
 */
export function receiveUpload(
  request: IncomingMessage,
  store: (content: AsyncIterable<Buffer>) => Promise<{ readonly bytes: number }>,
): Promise<Upload> {
  const fields: Record<string, string> = {};
  let stored: Promise<{ readonly filename: string; readonly bytes: number }> | undefined;
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(new ApiError(400, `The form cannot be read: ${String(error)}`));
    const contentType = request.headers['content-type'];
    if (!contentType?.startsWith('multipart/form-data')) {
      fail('it is no multipart/form-data');
      return;
    }
    const form = new Busboy({ headers: { ...request.headers, 'content-type': contentType } });
    form.on('field', (name, value) => (fields[name] = value));
    form.on('file', (_name, content, filename) => {
      stored ??= store(content).then(({ bytes }) => ({ filename, bytes }));
      stored.catch(reject);
    });
    form.on('error', fail);
    form.on('finish', () => {
      if (!stored) fail("it has no field 'file'");
      else stored.then((file) => resolve({ fields, ...file }), reject);
    });
    request.on('error', fail);
    request.pipe(form);
  });
}
