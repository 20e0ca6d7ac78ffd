import { type Agent, request } from 'undici';

type Fetch = (url: string | URL | Request, init?: RequestInit) => Promise<Response>;

const flatten = (value: string | readonly string[] | undefined): string =>
  typeof value === 'string' ? value : (value ?? []).join(', ');

/**
 * A `fetch` for the openai SDK that reads the whole answer before it resolves, so that the SDK's timeout covers the
 * body too. It does not follow redirects. Of a Response it has what the SDK reads of one and no more: a real one, with
 * its stream and Headers, makes the whole call cost a third more CPU (see bench/call-cost.ts).
 */
export const createUndiciFetch =
  (agent: Agent): Fetch =>
  async (url, init = {}) => {
    const { statusCode, headers, body } = await request(url as string, {
      dispatcher: agent,
      method: 'POST',
      headers: init.headers as Headers,
      body: init.body as string,
      signal: init.signal ?? null,
    });
    const text = await body.text();
    const response = {
      status: statusCode,
      ok: statusCode >= 200 && statusCode < 300,
      url,
      headers: new Map(Object.entries(headers).map(([name, value]) => [name, flatten(value)])),
      body: null,
      text: () => Promise.resolve(text),
    };
    return response as unknown as Response;
  };
