import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';

/** What `openai-python` 2.x sends with each call of its `AsyncOpenAI`, and httpx with each request. */
const headers = {
  'accept-encoding': 'gzip, deflate',
  accept: 'application/json',
  'content-type': 'application/json',
  'user-agent': 'AsyncOpenAI/Python 2.8.1',
  'x-stainless-lang': 'python',
  'x-stainless-package-version': '2.8.1',
  'x-stainless-os': 'Linux',
  'x-stainless-arch': 'x64',
  'x-stainless-runtime': 'CPython',
  'x-stainless-runtime-version': '3.12.3',
  'x-stainless-async': 'async:asyncio',
  'x-stainless-retry-count': '0',
  'x-stainless-read-timeout': '600',
};

interface Choice {
  readonly message: { readonly content: string };
  readonly delta: { readonly content?: string };
}

interface Completion {
  readonly choices: readonly [Choice];
}

/** As a script sees it: `str(error)` starts with the status. */
export class PythonApiError extends Error {}

/**
 * Sends what `AsyncOpenAI(base_url=…)` of openai-python sends, byte for byte as far as a server can tell. It makes no
 * retries, which the SDK would make twice: a test of a script sees each refusal.
 */
export const createPythonClient = (baseUrl: string) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1000, maxFreeSockets: 100 });

  const post = async (body: object, signal?: AbortSignal): Promise<IncomingMessage> => {
    // httpx writes JSON without spaces, as JSON.stringify does.
    const bytes = Buffer.from(JSON.stringify(body));
    const sent = request(`${baseUrl}/chat/completions`, {
      agent,
      method: 'POST',
      headers: { ...headers, authorization: 'Bearer none', 'content-length': bytes.length },
      ...(signal ? { signal } : {}),
    });
    sent.end(bytes);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    if (response.statusCode === 200) return response;
    throw new PythonApiError(`Error code: ${response.statusCode} - ${await textOf(response)}`);
  };
  const textOf = async (response: IncomingMessage): Promise<string> => {
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    return text;
  };

  return {
    /** `await client.chat.completions.create(…)`; cancelling its task closes the connection. */
    create: async (body: object, signal?: AbortSignal): Promise<Completion> =>
      JSON.parse(await textOf(await post(body, signal))) as Completion,

    /** `await client.chat.completions.create(…, stream=True)`: its `async for`. */
    async *stream(body: object): AsyncGenerator<Completion> {
      const response = await post({ ...body, stream: true });
      for await (const line of createInterface(response)) {
        if (!line.startsWith('data: ') || line === 'data: [DONE]') continue;
        const event = JSON.parse(line.slice('data: '.length)) as Completion & { error?: object };
        if (event.error) throw new PythonApiError(JSON.stringify(event.error));
        yield event;
      }
    },

    close: (): void => agent.destroy(),
  };
};

export type PythonClient = ReturnType<typeof createPythonClient>;
