import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';

export interface UploadBody {
  readonly contentType: string;
  /** From its start, each time. */
  readonly content: () => AsyncIterable<Uint8Array>;
}

const readBytes = 256 * 1024;

/** As browsers write a name. Source: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data */
const quoted = (name: string): string =>
  `"${name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A')}"`;

/**
 * The multipart body that uploads a file as a batch's input. Read as it is sent: fetch's own FormData reads a file as
 * fast as the disk gives it, and a slow server then leaves all of it in memory.
 */
export const createUploadBody = (path: string, filename: string): UploadBody => {
  const boundary = `promptmill-${randomUUID()}`;
  const partStart = (disposition: string): string =>
    `--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\n`;

  async function* content(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(
      `${partStart('name="purpose"')}\r\nbatch\r\n` +
        `${partStart(`name="file"; filename=${quoted(filename)}`)}Content-Type: application/jsonl\r\n\r\n`,
    );
    yield* createReadStream(path, { highWaterMark: readBytes });
    yield Buffer.from(`\r\n--${boundary}--\r\n`);
  }
  return { contentType: `multipart/form-data; boundary=${boundary}`, content };
};
