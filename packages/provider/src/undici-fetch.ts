import { type Agent, type Dispatcher, request } from 'undici';
import { type CallClock, startCallClock, type TimeLimits } from './call-clock.ts';

type Fetch = (url: string | URL | Request, init?: RequestInit) => Promise<Response>;
type Body = Dispatcher.ResponseData['body'];

/** What a call may carry to the connection it goes out on. */
interface Departure {
  readonly maySend?: (() => boolean) | undefined;
}

/** Keeps a call back whose `maySend` says no. */
export class UnsentError extends Error {
  override readonly name = 'UnsentError';
}

/** Asks once the connection is there, which may take longer than all that comes before. The connection stays. */
const askBeforeSending: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
  const { maySend } = options as Departure;
  if (!maySend) return dispatch(options, handler);
  const start = handler.onRequestStart?.bind(handler);
  handler.onRequestStart = (controller, context) => {
    if (!maySend()) throw new UnsentError('the call came too late to be sent');
    start?.(controller, context);
  };
  return dispatch(options, handler);
};

const flatten = (value: string | readonly string[] | undefined): string =>
  typeof value === 'string' ? value : (value ?? []).join(', ');

const readText = async (body: Body, clock: CallClock): Promise<string> => {
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    body.on('data', (chunk: Buffer) => {
      clock.tick();
      chunks.push(chunk);
    });
    body.on('end', resolve);
    body.on('error', reject);
  });
  return new TextDecoder().decode(Buffer.concat(chunks));
};

/** What may follow the end of a stream's last event: its connection is worth waiting for it. */
const rest = { bytes: 1024, timeoutMs: 1000 };

/** The pieces of a stream. A reader that has enough before the end leaves the connection to the next call. */
async function* readPieces(body: Body, clock: CallClock): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of body.iterator({ destroyOnReturn: false })) {
      clock.tick();
      yield chunk as Buffer;
    }
  } finally {
    clock.stop();
    body.dump({ limit: rest.bytes, signal: AbortSignal.timeout(rest.timeoutMs) }).catch(() => {});
  }
}

/**
 * A `fetch` for the openai SDK that holds each call against its time limits, whatever the SDK does with it. An answer is
 * read whole before it resolves, a stream of events is not. It does not follow redirects. Of a Response it has what the
 * SDK reads of one and no more: a real one, with its stream and Headers, makes the whole call cost a third more CPU (see
 * bench/call-cost.ts).
 */
export const createUndiciFetch = (agent: Agent, limits: TimeLimits): Fetch => {
  const dispatcher = agent.compose(askBeforeSending);
  return async (url, init = {}) => {
    const clock = startCallClock(limits, init.signal ?? new AbortController().signal);
    let isStream = false;
    try {
      const { statusCode, headers, body } = await request(
        url as string,
        {
          dispatcher,
          method: init.method as Dispatcher.HttpMethod,
          headers: init.headers as Headers,
          body: (init.body as string | undefined) ?? null,
          signal: clock.signal,
          maySend: (init as Departure).maySend,
        } as Parameters<typeof request>[1],
      );
      const ok = statusCode >= 200 && statusCode < 300;
      isStream = ok && flatten(headers['content-type']).toLowerCase().startsWith('text/event-stream');
      const text = isStream ? '' : await readText(body, clock);
      const response = {
        status: statusCode,
        ok,
        url,
        headers: new Map(Object.entries(headers).map(([name, value]) => [name, flatten(value)])),
        body: isStream ? readPieces(body, clock) : null,
        text: () => Promise.resolve(text),
      };
      return response as unknown as Response;
    } finally {
      if (!isStream) clock.stop();
    }
  };
};
