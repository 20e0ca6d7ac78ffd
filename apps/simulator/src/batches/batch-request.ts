import { type Endpoint, isEndpoint, isJsonObject, type JsonObject } from '@promptmill/core';
import { invalidParameter, missingParameter } from '../api-error.ts';

export interface BatchRequest {
  readonly inputFileId: string;
  readonly endpoint: Endpoint;
  readonly completionWindow: string;
  readonly metadata: Readonly<Record<string, string>> | null;
}

function readText(body: JsonObject, name: string): string {
  const value = body[name];
  if (value === undefined || value === null) throw missingParameter(name);
  if (typeof value !== 'string') throw invalidParameter(name, 'a text');
  return value;
}

function readMetadata(value: unknown): BatchRequest['metadata'] {
  if (value === undefined || value === null) return null;
  const isPair = ([key, text]: [string, unknown]) => key.length <= 64 && typeof text === 'string' && text.length <= 512;
  if (!isJsonObject(value) || Object.keys(value).length > 16 || !Object.entries(value).every(isPair))
    throw invalidParameter('metadata', 'up to 16 pairs of a key (64 characters) and a text (512 characters)');
  return value as Record<string, string>;
}

/**
 * Reads the body of `POST /v1/batches`. Source: https://developers.openai.com/api/docs/api-reference/batch/create
 * @throws ApiError 400
 */
export function readBatchRequest(body: JsonObject): BatchRequest {
  const endpoint = readText(body, 'endpoint');
  if (!isEndpoint(endpoint)) throw invalidParameter('endpoint', 'an endpoint that batches take');
  const completionWindow = readText(body, 'completion_window');
  if (completionWindow !== '24h') throw invalidParameter('completion_window', "'24h'");
  return {
    inputFileId: readText(body, 'input_file_id'),
    endpoint,
    completionWindow,
    metadata: readMetadata(body['metadata']),
  };
}
