import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';

export interface LiveReply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  /** How long it took, in milliseconds. */
  readonly tookMs: number;
}

/** A live call on a connection of its own or a kept one, of which a test sees each byte and may hang up at any moment. */
export const openCall = async (
  url: string,
  content: string,
  { model = 'simulator/echo', stream = false, signal }: { model?: string; stream?: boolean; signal?: AbortSignal } = {},
): Promise<IncomingMessage> => {
  const body = JSON.stringify({ model, messages: [{ role: 'user', content }], ...(stream ? { stream } : {}) });
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const sent = request(`${url}/v1/chat/completions`, {
    method: 'POST',
    agent: new Agent(),
    headers,
    ...(signal ? { signal } : {}),
  });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return response.setEncoding('utf8');
};

export const readReply = async (response: IncomingMessage): Promise<string> => {
  let text = '';
  for await (const chunk of response) text += chunk;
  return text;
};

/** Makes a live call and waits for all of its answer. */
export const callLive = async (...call: Parameters<typeof openCall>): Promise<LiveReply> => {
  const startedAt = performance.now();
  const response = await openCall(...call);
  const text = await readReply(response);
  return { status: response.statusCode ?? 0, headers: response.headers, text, tookMs: performance.now() - startedAt };
};

interface Event {
  readonly choices?: readonly { readonly delta?: { readonly content?: string } }[];
  readonly error?: { readonly code: string | null };
}

/** What the text of a stream comes to: its content, whether it came to its end, and the error it ended with. */
export const readEvents = (text: string): { content: string; isWhole: boolean; error: string | null | undefined } => {
  const data = text
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => line.slice('data: '.length));
  const events = data.filter((line) => line !== '[DONE]').map((line) => JSON.parse(line) as Event);
  return {
    content: events.map(({ choices }) => choices?.[0]?.delta?.content ?? '').join(''),
    isWhole: data.at(-1) === '[DONE]',
    error: events.find(({ error }) => error)?.error?.code,
  };
};

/** The content of a plain answer. */
export const contentOf = ({ text }: LiveReply): string | undefined =>
  (JSON.parse(text) as { choices?: { message: { content: string } }[] }).choices?.[0]?.message.content;
