import { once } from 'node:events';
import { type Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';

export interface SentRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | undefined;
}

export interface SendOptions extends SentRequest {
  /** Sent as it is, in place of the URL's path. */
  readonly path?: string;
  /** Default: the request has a connection of its own. */
  readonly agent?: Agent;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** Of an event stream: empty, for it has no end. */
  readonly text: string;
}

/** Sends a request with any headers, also those which `fetch` sets itself. */
export const send = async (
  url: string,
  { method = 'GET', headers = {}, body, path, agent }: SendOptions = {},
): Promise<Answer> => {
  const sent = request(url, { method, headers, agent: agent ?? false, ...(path === undefined ? {} : { path }) });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const isStream = response.headers['content-type']?.startsWith('text/event-stream');
  const answer = {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text: isStream ? '' : await text(response),
  };
  if (isStream || !agent) sent.destroy();
  return answer;
};

/** Headers by which a request comes from an address of its own: those of one address are soon answered late. */
export const createNewAddress = () => {
  let addresses = 0;
  return () => ({ 'x-forwarded-for': `10.${addresses >> 8}.${addresses++ & 255}.1` });
};
