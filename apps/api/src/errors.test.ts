import { ApiError } from '@promptmill/core';
import { FileStoreError } from '@promptmill/files';
import { expect, it } from 'vitest';
import { toApiError } from './errors.ts';

it.each([
  ['what is meant for the caller', new ApiError(409, 'No.', { code: 'no' }), 409, 'no'],
  ['Redis being away', new Error('Connection is closed.'), 503, 'service_unavailable'],
  [
    "Redis's memory being full",
    new Error("OOM command not allowed when used memory > 'maxmemory'."),
    503,
    'out_of_memory',
  ],
  ['a full disk', new FileStoreError('no_space', '/data/files is full'), 507, 'insufficient_storage'],
  ['a read-only disk', new FileStoreError('read_only', 'open /data/files/x'), 503, 'service_unavailable'],
  ['bytes that are gone', new FileStoreError('not_found', 'no such file: files/x'), 404, 'file_content_gone'],
  [
    'an odd encoding',
    Object.assign(new Error('x'), { type: 'encoding.unsupported', status: 415 }),
    415,
    'invalid_encoding',
  ],
  ['a bad path', Object.assign(new URIError("Failed to decode param '%'"), { status: 400 }), 400, 'invalid_request'],
  ['a mistake of ours', new TypeError("Cannot read 'password'"), 500, 'internal_error'],
  ['no error at all', 'x', 500, 'internal_error'],
])('%s', (_name, error, status, code) => {
  const answer = toApiError(error);
  expect(answer).toMatchObject({ status, code });
  expect(answer.message).not.toMatch(/password|data\/|files\/x|closed/);
});
