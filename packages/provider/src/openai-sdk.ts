import type { Provider } from '@promptmill/core';
import OpenAI, { APIError } from 'openai';
import type { Agent } from 'undici';
import { timeLimitsOf } from './call-clock.ts';
import { createUndiciFetch } from './undici-fetch.ts';

class Sdk extends OpenAI {
  // The SDK keeps only the `error` of an error answer; the error file holds all of it.
  protected override makeStatusError(
    status: number,
    body: object | undefined,
    text: string | undefined,
    headers: Headers,
  ) {
    return new APIError(status, body ?? text, undefined, headers);
  }
}

/** The longest a timer can be set to. */
const never = 2 ** 31 - 1;

/** The openai SDK, stripped of its own retries, its timeout and of what it would take from OpenAI's environment variables. */
export const createSdk = (provider: Provider, apiKey: string | undefined, agent: Agent): OpenAI =>
  new Sdk({
    baseURL: provider.baseUrl,
    // It insists on a key; the header below decides what is sent.
    apiKey: apiKey ?? 'none',
    defaultHeaders: { Authorization: apiKey === undefined ? null : `Bearer ${apiKey}` },
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    logLevel: 'off',
    maxRetries: 0,
    // It would end with a stream's headers; the fetch has limits of its own, to the last byte.
    timeout: never,
    fetch: createUndiciFetch(agent, timeLimitsOf(provider)),
  });
