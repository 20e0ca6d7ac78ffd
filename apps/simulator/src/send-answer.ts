import type { ServerResponse } from 'node:http';
import type { ApiError } from '@promptmill/core';

export type Headers = Readonly<Record<string, string | number>>;

export function sendJson(response: ServerResponse, status: number, body: string, headers: Headers): void {
  response
    .writeHead(status, {
      ...headers,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    })
    .end(body);
}

export function sendError(response: ServerResponse, error: ApiError, headers: Headers): void {
  sendJson(response, error.status, JSON.stringify(error.toBody()), headers);
}
