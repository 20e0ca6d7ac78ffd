import type { Provider } from '@promptmill/core';
import OpenAI from 'openai';

/** The start of a request, which all calls of one kind to a provider share. */
export interface RequestHead {
  readonly method: 'GET' | 'POST';
  /** With the query, as in the request line. */
  readonly path: string;
  /** Names and values, alternating. */
  readonly headers: readonly string[];
}

/** The openai SDK for one provider. It reads none of OpenAI's environment variables. */
export const createSdk = (provider: Provider, apiKey: string | undefined): OpenAI =>
  new OpenAI({
    baseURL: provider.baseUrl,
    // The SDK requires a key. The header below decides what is sent.
    apiKey: apiKey ?? 'none',
    defaultHeaders: { Authorization: apiKey === undefined ? null : `Bearer ${apiKey}` },
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    logLevel: 'off',
    timeout: provider.timeoutMs,
  });

/** The same request as of somebody without a key. */
export const withoutKey = ({ headers, ...head }: RequestHead): RequestHead => {
  const key = headers.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'authorization');
  return { ...head, headers: key < 0 ? headers : headers.toSpliced(key, 2) };
};

/** Lets the SDK build the head of a request. That of a POST says that its body is JSON. */
export const buildHead = async (sdk: OpenAI, method: RequestHead['method'], path: string): Promise<RequestHead> => {
  const { req, url } = await sdk.buildRequest({
    method: method === 'GET' ? 'get' : 'post',
    path,
    ...(method === 'POST' ? { body: {} } : {}),
  });
  const { pathname, search } = new URL(url);
  return { method, path: pathname + search, headers: [...req.headers].flat() };
};

/**
 * Lets the SDK build the head of each kind of request once. It is the same for every call, and building it takes more
 * processor time than sending it.
 */
export const createRequestHeads = (sdk: OpenAI) => {
  const heads = new Map<string, Promise<RequestHead>>();
  return (method: RequestHead['method'], path: string): Promise<RequestHead> => {
    const head = heads.get(path) ?? buildHead(sdk, method, path);
    heads.set(path, head);
    return head;
  };
};
