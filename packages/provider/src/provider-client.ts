import { ConfigError, type Endpoint, field, lacksKey, type Provider, type RequestBody } from '@promptmill/core';
import { Pool } from 'undici';
import { mayStream } from './assemble-stream.ts';
import type { CallFailure, CallResult, CallSuccess, EmbedResult, Look, ModelList } from './call-result.ts';
import { timeLimitsOf } from './call-clock.ts';
import type { EmbeddingInputs } from './embeddings.ts';
import { createAnswerReader, usefulHeadersOf } from './read-answer.ts';
import { readStream, type StreamListeners } from './read-stream.ts';
import { createKeyRedactor } from './redact-key.ts';
import { createRequestHeads, createSdk, withoutKey } from './request-heads.ts';
import { type Reply, sendCall } from './send-call.ts';

interface OneCall {
  /** Sent as the header `Idempotency-Key`. */
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
  /** Called once the call has its connection, before its first byte is sent. If it returns false, nothing is sent. */
  readonly maySend?: (() => boolean) | undefined;
}

interface EmbedRequest extends OneCall {
  /** The body of any of the requests. They differ in their `input` alone. */
  readonly body: RequestBody;
  /** The inputs of each request, all of one kind. */
  readonly inputs: readonly EmbeddingInputs[];
}

export interface CallRequest extends OneCall, StreamListeners {
  readonly url: Endpoint;
  /** With `stream: true` the provider streams the answer, where its endpoint can, and the client assembles it. */
  readonly body: RequestBody;
  /** Gets the start of a streamed answer before its first event. */
  readonly onStream?: ((start: StreamStart) => void) | undefined;
}

export type StreamStart = Pick<CallSuccess, 'statusCode' | 'requestId' | 'headers'>;

interface Aborted {
  readonly kind: 'aborted';
}

export interface ProviderClient {
  /** Makes one attempt. Whatever the provider does comes back as a result; none of it is thrown. */
  call(request: CallRequest): Promise<CallResult>;
  /** Makes one call for several requests for embeddings. Each gets an answer of its own; a failure is that of all. */
  embed(request: EmbedRequest): Promise<EmbedResult>;
  /** Lists the provider's models, which costs nothing and shows whether it accepts the key. Nothing is thrown. */
  listModels(signal: AbortSignal): Promise<ModelList | CallFailure | Aborted>;
  /**
   * Looks whether the provider takes the key, without a call: it asks for the list of models, with the key and without.
   * Providers limit calls to models, and count neither the list nor its tokens as one. Nothing is thrown.
   */
  look(signal: AbortSignal): Promise<Look>;
  /** Closes the connections once the calls in flight have ended. */
  close(): Promise<void>;
}

export interface ProviderClientOptions {
  /** Most connections to the provider at once. Not less than the calls in flight. */
  readonly maxConnections: number;
  /** Longest answer taken, in bytes. Default 64 MiB. */
  readonly maxAnswerBytes?: number;
  /** The time in milliseconds. Default `Date.now`. */
  readonly now?: () => number;
}

const defaultMaxAnswerBytes = 64 * 1024 * 1024;

export const defaultConnectTimeoutMs = 10_000;

/** The key as it is sent. Throws {@link ConfigError} when it cannot be sent in a header. */
export const keyOf = ({ name, apiKey, apiKeyEnv }: Provider): string | undefined => {
  const key = apiKey?.trim();
  if (key && !/^[\x21-\x7e]+$/.test(key))
    throw new ConfigError(`providers.${name}: the key in ${apiKeyEnv} holds a character that no key can have`);
  return key || undefined;
};

const bodyToSend = (
  url: Endpoint,
  { stream, stream_options: streamOptions, ...body }: RequestBody,
  { streamUsage = true }: Provider,
): Record<string, unknown> => {
  if (stream !== true || !mayStream(url)) return body;
  // A stream of `/v1/responses` has the usage unasked.
  const options =
    streamUsage && url !== '/v1/responses' ? { ...(streamOptions as object), include_usage: true } : streamOptions;
  return { ...body, stream, ...(options === undefined ? {} : { stream_options: options }) };
};

/** The caller of a stream who has not asked for its usage does not expect the chunk that has it and no choice. */
const withoutUnaskedUsage = (
  { stream_options: streamOptions }: RequestBody,
  onEvent: StreamListeners['onEvent'],
): StreamListeners['onEvent'] => {
  if (!onEvent || field(streamOptions, 'include_usage') === true) return onEvent;
  return (event, data) => {
    const choices = field(data, 'choices');
    const isUsage = Array.isArray(choices) && choices.length === 0 && field(data, 'usage') !== undefined;
    if (!isUsage) onEvent(event, data);
  };
};

/**
 * Creates a client of one provider. The openai SDK builds the requests; undici sends
 * them, over connections of this client. The SDK's own transport would retry, have no time limit after the headers,
 * and take a page of HTML for an answer. Throws {@link ConfigError} when the provider's key cannot be sent in a header.
 */
export const createProviderClient = (
  provider: Provider,
  { maxConnections, maxAnswerBytes = defaultMaxAnswerBytes, now = Date.now }: ProviderClientOptions,
): ProviderClient => {
  const apiKey = keyOf(provider);
  const pool = new Pool(new URL(provider.baseUrl).origin, {
    connections: maxConnections,
    maxResponseSize: maxAnswerBytes,
    // One lost HTTP/2 connection would end every call on it.
    allowH2: false,
    connectTimeout: provider.connectTimeoutMs ?? defaultConnectTimeoutMs,
  });
  const sdk = createSdk(provider, apiKey);
  const headOf = createRequestHeads(sdk);
  const limits = timeLimitsOf(provider);
  const reader = createAnswerReader({
    providerName: provider.name,
    maxAnswerBytes,
    redactKey: createKeyRedactor(apiKey),
    now,
  });

  const askForModels = async (withKey: boolean, signal: AbortSignal): Promise<CallFailure | 'listed' | undefined> => {
    const head = await headOf('GET', '/models');
    const reply = await sendCall(pool, { head: withKey ? head : withoutKey(head), limits, signal });
    if (reply.kind === 'stream') await reply.events.cancel();
    if (reply.kind !== 'answer') return undefined;
    const list = reader.readModels(reply);
    return list.kind === 'models' ? 'listed' : list;
  };
  const isRefused = (list: CallFailure | 'listed' | undefined): list is CallFailure =>
    typeof list === 'object' && list.class === 'provider';

  const send = async (url: Endpoint, body: RequestBody, { idempotencyKey, signal, maySend }: OneCall): Promise<Reply> =>
    sendCall(pool, {
      head: await headOf('POST', url.slice('/v1'.length)),
      headers: ['idempotency-key', idempotencyKey],
      body: JSON.stringify(bodyToSend(url, body, provider)),
      limits,
      signal,
      maySend,
    });

  return {
    async call({ url, body, onStream, onDelta, onEvent, ...one }) {
      // Without a key the provider would refuse the prompt only after it has it.
      if (lacksKey(provider)) return reader.readMissingKey(provider.apiKeyEnv);
      const reply = await send(url, body, one);
      if (reply.kind === 'aborted' || reply.kind === 'unsent') return reply;
      if (reply.kind === 'lost') return reader.readConnectionError(reply.error);
      if (reply.kind === 'answer') return reader.readAnswer(url, reply);
      try {
        const { statusCode, headers } = reply;
        onStream?.({ statusCode, requestId: reader.requestIdIn(headers), headers: usefulHeadersOf(headers) });
        const answer = await readStream(url, reply.events, { onDelta, onEvent: withoutUnaskedUsage(body, onEvent) });
        return reader.readStreamEnd(url, reply, answer);
      } catch (error) {
        return one.signal.aborted ? { kind: 'aborted' } : reader.readStreamFailure(error);
      }
    },
    async embed({ body, inputs, ...one }) {
      if (lacksKey(provider)) return reader.readMissingKey(provider.apiKeyEnv);
      const whole = { ...body, input: inputs.flatMap(({ items }) => items) };
      const reply = await send('/v1/embeddings', whole, one);
      if (reply.kind === 'aborted' || reply.kind === 'unsent') return reply;
      if (reply.kind === 'lost') return reader.readConnectionError(reply.error);
      if (reply.kind === 'stream') await reply.events.cancel();
      return reader.readEmbeddings(inputs, reply.kind === 'stream' ? { ...reply, text: '' } : reply);
    },
    async listModels(signal) {
      const reply = await sendCall(pool, { head: await headOf('GET', '/models'), limits, signal });
      if (reply.kind === 'answer') return reader.readModels(reply);
      if (reply.kind === 'lost') return reader.readConnectionError(reply.error);
      if (reply.kind === 'stream') await reply.events.cancel();
      return reply.kind === 'stream' ? reader.readModels({ ...reply, text: '' }) : { kind: 'aborted' };
    },
    async look(signal) {
      const list = await askForModels(true, signal);
      if (isRefused(list)) return { verdict: 'refused', failure: list };
      if (list !== 'listed' || apiKey === undefined) return { verdict: 'unclear' };
      return { verdict: isRefused(await askForModels(false, signal)) ? 'accepted' : 'unclear' };
    },
    close: () => pool.close(),
  };
};
