import type { IncomingMessage } from 'node:http';
import { ApiError, isJsonObject, type JsonObject } from '@promptmill/core';
import { errorForStatus } from './api-error.ts';

export type BodyOutcome =
  | { readonly status: 'read'; readonly body: JsonObject }
  | { readonly status: 'invalid'; readonly error: ApiError };

/** Reads a JSON object and calls back once; not at all when the caller goes away before it is whole. */
export function readJsonBody(
  request: IncomingMessage,
  maxBytes: number,
  onOutcome: (outcome: BodyOutcome) => void,
): void {
  let chunks: Buffer[] = [];
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    if (bytes > maxBytes) return;
    bytes += chunk.length;
    chunks.push(chunk);
    if (bytes <= maxBytes) return;
    chunks = [];
    onOutcome({ status: 'invalid', error: errorForStatus(413) });
  });
  request.on('end', () => {
    if (bytes > maxBytes) return;
    const whole = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    onOutcome(parseJsonObject(whole.toString()));
  });
}

function parseJsonObject(text: string): BodyOutcome {
  try {
    const body: unknown = JSON.parse(text);
    if (isJsonObject(body)) return { status: 'read', body };
  } catch {
    // Answered below, like JSON that is no object.
  }
  const error = new ApiError(400, 'The request body is not a JSON object.', { code: 'invalid_json' });
  return { status: 'invalid', error };
}
