import type { Provider } from '@promptmill/core';
import {
  type CallRequest,
  createProviderClient,
  type ProviderClient,
  type ProviderClientOptions,
} from '../src/index.ts';

/** A client of a test's provider. Default: no key, no limits, 5 s for each call, 4 connections. */
export const createTestClient = (
  provider: Pick<Provider, 'baseUrl'> & Partial<Provider>,
  options: Partial<ProviderClientOptions> = {},
): ProviderClient =>
  createProviderClient(
    { name: 'test', timeoutMs: 5000, probeIntervalMs: 1000, limits: {}, models: {}, prices: {}, ...provider },
    { maxConnections: 4, ...options },
  );

/** A chat request. `more` replaces parts of it. */
export const testRequest = (more: Partial<CallRequest> = {}): CallRequest => ({
  url: '/v1/chat/completions',
  body: { model: 'm', messages: [{ role: 'user', content: 'Hello' }] },
  idempotencyKey: 'batch_1-0',
  signal: new AbortController().signal,
  ...more,
});
