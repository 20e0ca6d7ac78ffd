import { ConfigError, type Endpoint, type Provider, type RequestBody } from '@promptmill/core';
import { APIConnectionError, APIError, APIUserAbortError } from 'openai';
import { Agent } from 'undici';
import { type AnswerDelta, mayStream } from './assemble-stream.ts';
import type { CallFailure, CallResult, ModelList } from './call-result.ts';
import { createSdk } from './openai-sdk.ts';
import { createAnswerReader } from './read-answer.ts';
import { readStream } from './read-stream.ts';
import { createKeyRedactor } from './redact-key.ts';
import { UnsentError } from './undici-fetch.ts';

export interface CallRequest {
  readonly url: Endpoint;
  /** With `stream: true` the answer comes in pieces where its endpoint can do that, and is put together to a whole. */
  readonly body: RequestBody;
  /** Sent as the header `Idempotency-Key`. */
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
  /** Asked once the call has its connection, before its first byte goes out; false keeps it back. Default: it goes out. */
  readonly maySend?: (() => boolean) | undefined;
  /** Given the text of a streamed answer as it comes, whatever comes of the call in the end. */
  readonly onDelta?: ((delta: AnswerDelta) => void) | undefined;
}

interface Aborted {
  readonly kind: 'aborted';
}

export interface ProviderClient {
  /** One attempt. Whatever the provider does comes back as a result; none of it is thrown. */
  call(request: CallRequest): Promise<CallResult>;
  /** What it offers: a call that costs nothing, and shows whether it takes the key. Nothing is thrown. */
  listModels(signal: AbortSignal): Promise<ModelList | CallFailure | Aborted>;
  /** Closes the connections once the calls in flight have ended. */
  close(): Promise<void>;
}

export interface ProviderClientOptions {
  /** Connections to the provider at once; not less than the calls in flight. */
  readonly maxConnections: number;
  /** Longest answer taken, in bytes. Default 64 MiB. */
  readonly maxAnswerBytes?: number;
  /** The time in milliseconds. Default `Date.now`. */
  readonly now?: () => number;
}

const defaultMaxAnswerBytes = 64 * 1024 * 1024;

const defaultConnectTimeoutMs = 10_000;

const keyOf = ({ name, apiKey, apiKeyEnv }: Provider): string | undefined => {
  const key = apiKey?.trim();
  if (key && !/^[\x21-\x7e]+$/.test(key))
    throw new ConfigError(`providers.${name}: the key in ${apiKeyEnv} holds a character no key can have`);
  return key || undefined;
};

const bodyToSend = (
  url: Endpoint,
  { stream, stream_options: streamOptions, ...body }: RequestBody,
  { streamUsage = true }: Provider,
): Record<string, unknown> => {
  if (stream !== true || !mayStream(url)) return body;
  // The events of `/v1/responses` tell the usage unasked.
  const options =
    streamUsage && url !== '/v1/responses' ? { ...(streamOptions as object), include_usage: true } : streamOptions;
  return { ...body, stream, ...(options === undefined ? {} : { stream_options: options }) };
};

/**
 * A client of one provider: the openai SDK over connections of its own.
 * Throws {@link ConfigError} when the provider's key cannot be sent in a header.
 */
export const createProviderClient = (
  provider: Provider,
  { maxConnections, maxAnswerBytes = defaultMaxAnswerBytes, now = Date.now }: ProviderClientOptions,
): ProviderClient => {
  const apiKey = keyOf(provider);
  const agent = new Agent({
    connections: maxConnections,
    maxResponseSize: maxAnswerBytes,
    // One lost HTTP/2 connection would take every call on it down.
    allowH2: false,
    connect: { timeout: provider.connectTimeoutMs ?? defaultConnectTimeoutMs },
    // The fetch has limits of its own.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const sdk = createSdk(provider, apiKey, agent);
  const reader = createAnswerReader({
    providerName: provider.name,
    maxAnswerBytes,
    redactKey: createKeyRedactor(apiKey),
    now,
  });

  const readThrown = (error: unknown, signal: AbortSignal): CallFailure | Aborted => {
    if (error instanceof APIUserAbortError) return { kind: 'aborted' };
    if (error instanceof APIConnectionError) return reader.readConnectionError(error.cause as Error);
    if (error instanceof APIError && error.status !== undefined && error.headers)
      return reader.readError(error.status, error.headers, error.error);
    if (signal.aborted) return { kind: 'aborted' };
    return reader.readStreamFailure(error);
  };

  return {
    async call({ url, body, idempotencyKey, signal, maySend, onDelta }) {
      const headers = { 'Idempotency-Key': idempotencyKey };
      const options = { body: bodyToSend(url, body, provider), headers, signal, fetchOptions: { maySend } as object };
      try {
        // The SDK's own parsing takes HTML for an answer, and drops one already here when the signal fires.
        const response = await sdk.post(url.slice('/v1'.length), options).asResponse();
        if (!response.body) return reader.readAnswer(url, response.status, response.headers, await response.text());
        const streamed = await readStream(url, response, sdk, onDelta);
        // It ends a stream without a word.
        if (signal.aborted) return { kind: 'aborted' };
        return reader.readStreamEnd(url, response.status, response.headers, streamed);
      } catch (error) {
        if (error instanceof APIConnectionError && error.cause instanceof UnsentError) return { kind: 'unsent' };
        return readThrown(error, signal);
      }
    },
    async listModels(signal) {
      try {
        const response = await sdk.get('/models', { signal }).asResponse();
        return reader.readModels(response.status, await response.text());
      } catch (error) {
        return readThrown(error, signal);
      }
    },
    close: () => agent.close(),
  };
};
