import type { Provider } from '@promptmill/core';
import OpenAI from 'openai';

/** What all calls of one kind to a provider have in common. */
export interface RequestHead {
  readonly method: 'GET' | 'POST';
  /** With the query, as it stands in the request line. */
  readonly path: string;
  /** Names and values in turn. */
  readonly headers: readonly string[];
}

/** The openai SDK for one provider, with nothing taken from OpenAI's environment variables. */
export const createSdk = (provider: Provider, apiKey: string | undefined): OpenAI =>
  new OpenAI({
    baseURL: provider.baseUrl,
    // It insists on a key; the header below decides what is sent.
    apiKey: apiKey ?? 'none',
    defaultHeaders: { Authorization: apiKey === undefined ? null : `Bearer ${apiKey}` },
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    logLevel: 'off',
    timeout: provider.timeoutMs,
  });

/**
 * Has the SDK build each kind of request once: its address and headers are the same for every call, and building them
 * costs more processor time than sending them.
 */
export const createRequestHeads = (sdk: OpenAI) => {
  const heads = new Map<string, Promise<RequestHead>>();
  const build = async (method: RequestHead['method'], path: string): Promise<RequestHead> => {
    const { req, url } = await sdk.buildRequest({
      method: method === 'GET' ? 'get' : 'post',
      path,
      ...(method === 'POST' ? { body: {} } : {}),
    });
    const { pathname, search } = new URL(url);
    return { method, path: pathname + search, headers: [...req.headers].flat() };
  };
  return (method: RequestHead['method'], path: string): Promise<RequestHead> => {
    const head = heads.get(path) ?? build(method, path);
    heads.set(path, head);
    return head;
  };
};
