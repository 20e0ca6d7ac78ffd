import { ConfigError, type Endpoint, type Provider, type RequestBody } from '@promptmill/core';
import { APIConnectionError, APIError, APIUserAbortError } from 'openai';
import { Agent } from 'undici';
import type { CallResult } from './call-result.ts';
import { createSdk } from './openai-sdk.ts';
import { createAnswerReader } from './read-answer.ts';
import { createKeyRedactor } from './redact-key.ts';

export interface CallRequest {
  readonly url: Endpoint;
  /** `stream` and `stream_options` are not sent: an answer comes whole. */
  readonly body: RequestBody;
  /** Sent as the header `Idempotency-Key`. */
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
}

export interface ProviderClient {
  /** One attempt. Whatever the provider does comes back as a result; none of it is thrown. */
  call(request: CallRequest): Promise<CallResult>;
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

const keyOf = ({ name, apiKey, apiKeyEnv }: Provider): string | undefined => {
  const key = apiKey?.trim();
  if (key && !/^[\x21-\x7e]+$/.test(key))
    throw new ConfigError(`providers.${name}: the key in ${apiKeyEnv} holds a character no key can have`);
  return key || undefined;
};

const withoutStream = ({ stream: _stream, stream_options: _options, ...body }: RequestBody): Record<string, unknown> =>
  body;

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
    // The SDK's timeout covers the whole call.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const sdk = createSdk(provider, apiKey, agent);
  const reader = createAnswerReader({
    providerName: provider.name,
    timeoutMs: provider.timeoutMs,
    maxAnswerBytes,
    redactKey: createKeyRedactor(apiKey),
    now,
  });

  return {
    async call({ url, body, idempotencyKey, signal }) {
      const options = { body: withoutStream(body), headers: { 'Idempotency-Key': idempotencyKey }, signal };
      try {
        // The SDK's own parsing takes HTML for an answer, and drops one already here when the signal fires.
        const response = await sdk.post(url.slice('/v1'.length), options).asResponse();
        return reader.readAnswer(url, response.status, response.headers, await response.text());
      } catch (error) {
        if (error instanceof APIUserAbortError) return { kind: 'aborted' };
        if (error instanceof APIConnectionError) return reader.readConnectionError(error.cause as Error);
        if (error instanceof APIError && error.status !== undefined && error.headers)
          return reader.readError(error.status, error.headers, error.error);
        throw error;
      }
    },
    close: () => agent.close(),
  };
};
