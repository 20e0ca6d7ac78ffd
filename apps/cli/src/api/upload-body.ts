import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { shareText } from '../progress/step-progress.ts';

export interface UploadBody {
  readonly contentType: string;
  /** Reads the body, each time from its start. */
  readonly content: () => AsyncIterable<Uint8Array>;
}

const readBytes = 256 * 1024;

/** Quotes a name as browsers do. Source: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data */
const quoted = (name: string): string =>
  `"${name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A')}"`;

/**
 * Makes the multipart body that uploads a file as a batch's input. It reads the file only as fast as the server takes
 * it. The FormData of fetch reads as fast as the disk does, so with a slow server the whole file would be in memory.
 *
 * @param onSent is told how much of the file is sent, as `45 %`.
 */
export const createUploadBody = (
  path: string,
  { filename, onSent }: { readonly filename: string; readonly onSent?: ((share: string) => void) | undefined },
): UploadBody => {
  const boundary = `promptmill-${randomUUID()}`;
  const partStart = (disposition: string): string =>
    `--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\n`;

  async function* content(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(
      `${partStart('name="purpose"')}\r\nbatch\r\n` +
        `${partStart(`name="file"; filename=${quoted(filename)}`)}Content-Type: application/jsonl\r\n\r\n`,
    );
    const { size } = await stat(path);
    let sent = 0;
    for await (const chunk of createReadStream(path, { highWaterMark: readBytes })) {
      yield chunk as Uint8Array;
      sent += (chunk as Uint8Array).length;
      onSent?.(shareText(sent, size));
    }
    yield Buffer.from(`\r\n--${boundary}--\r\n`);
  }
  return { contentType: `multipart/form-data; boundary=${boundary}`, content };
};
