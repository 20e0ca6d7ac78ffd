import type { Dispatcher, Pool } from 'undici';
import { startCallClock, type TimeLimits } from './call-clock.ts';
import type { RequestHead } from './request-heads.ts';

export interface CallToSend {
  readonly head: RequestHead;
  /** Names and values in turn, beside those of the head. */
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly limits: TimeLimits;
  readonly signal: AbortSignal;
  /** Asked once the call has its connection, before its first byte goes out; false keeps it back. */
  readonly maySend?: (() => boolean) | undefined;
}

export interface ReplyHeaders {
  /** Undefined when the header is not there; what came several times is joined by commas. */
  get(name: string): string | undefined;
}

interface ReplyStart {
  readonly statusCode: number;
  readonly headers: ReplyHeaders;
}

/** What came back: an answer that is read whole, or a stream of events as it comes; or nothing. */
export type Reply =
  | (ReplyStart & { readonly kind: 'answer'; readonly text: string })
  | (ReplyStart & { readonly kind: 'stream'; readonly events: ReadableStream<Uint8Array> })
  /** The caller's signal fired before all of it was there. */
  | { readonly kind: 'aborted' }
  /** `maySend` said no: the provider knows nothing of the call. */
  | { readonly kind: 'unsent' }
  /** A time limit was passed, or the connection failed. */
  | { readonly kind: 'lost'; readonly error: NodeJS.ErrnoException };

/** A reader that has the last event does not wait for the stream's end; a connection is kept if that soon comes. */
const afterLastEvent = { bytes: 1024, timeoutMs: 1000 };

/** Chunks of a stream that wait for their reader before the connection is told to pause. */
const waitingChunks = 16;

const abortedError = new Error('the caller gave the call up');
const unsentError = new Error('the call came too late to be sent');

const isEventStream = (statusCode: number, headers: ReplyHeaders): boolean =>
  statusCode >= 200 &&
  statusCode < 300 &&
  (headers.get('content-type') ?? '').toLowerCase().startsWith('text/event-stream');

const headersOf = (raw: Readonly<Record<string, string | string[] | undefined>>): ReplyHeaders => ({
  get(name) {
    const value = raw[name];
    return typeof value === 'object' ? value.join(', ') : value;
  },
});

/** The events of a stream on their way from the connection to their reader. */
const createEventPipe = (controller: Dispatcher.DispatchController, onLeft: () => void) => {
  let sink: ReadableStreamDefaultController<Uint8Array>;
  let bytesAfterLeft = 0;
  let timer: NodeJS.Timeout | undefined;
  let hasLeft = false;
  const events = new ReadableStream<Uint8Array>(
    {
      start: (created) => void (sink = created),
      pull: () => controller.resume(),
      cancel() {
        hasLeft = true;
        onLeft();
        controller.resume();
        timer = setTimeout(() => controller.abort(abortedError), afterLastEvent.timeoutMs);
      },
    },
    { highWaterMark: waitingChunks },
  );
  return {
    events,
    push(chunk: Uint8Array): void {
      if (hasLeft) {
        bytesAfterLeft += chunk.length;
        if (bytesAfterLeft > afterLastEvent.bytes) controller.abort(abortedError);
        return;
      }
      sink.enqueue(chunk);
      if ((sink.desiredSize ?? 0) <= 0) controller.pause();
    },
    end(error?: Error): void {
      clearTimeout(timer);
      if (hasLeft) return;
      if (error) sink.error(error);
      else sink.close();
    },
  };
};

/**
 * Sends one call and holds it against its time limits, from its start to the last byte of what comes back. Nothing is
 * thrown; redirects are not followed. A stream that breaks off fails with the reason: the signal's, a time limit's, or the
 * connection's.
 */
export const sendCall = (
  pool: Pool,
  { head, headers = [], body, limits, signal, maySend }: CallToSend,
): Promise<Reply> =>
  new Promise((resolve) => {
    let connection: Dispatcher.DispatchController | undefined;
    let start: ReplyStart | undefined;
    let pipe: ReturnType<typeof createEventPipe> | undefined;
    const chunks: Buffer[] = [];
    let failure: Error | undefined;

    const finish = (): void => {
      clock.stop();
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: Error): void => {
      failure ??= error;
      finish();
      if (pipe) pipe.end(failure);
      else if (failure === abortedError) resolve({ kind: 'aborted' });
      else if (failure === unsentError) resolve({ kind: 'unsent' });
      else resolve({ kind: 'lost', error: failure });
    };
    /** Before it has a connection a call cannot be told to end: it ends for its caller at once, and is kept back then. */
    const give = (error: Error): void => {
      failure ??= error;
      if (connection) connection.abort(failure);
      else fail(failure);
    };
    const onAbort = (): void => give(abortedError);
    const clock = startCallClock(limits, give);

    if (signal.aborted) return fail(abortedError);
    signal.addEventListener('abort', onAbort, { once: true });
    pool.dispatch(
      {
        method: head.method,
        path: head.path,
        headers: [...head.headers, ...headers],
        body: body ?? null,
        // The clock holds the call against the limits.
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      {
        onRequestStart(controller) {
          connection = controller;
          // Thrown, unlike an abort, it leaves the connection to the next call.
          if (failure) throw failure;
          if (maySend && !maySend()) throw unsentError;
        },
        onResponseStart(controller, statusCode, raw) {
          if (statusCode < 200) return;
          start = { statusCode, headers: headersOf(raw) };
          if (!isEventStream(statusCode, start.headers)) return;
          pipe = createEventPipe(controller, finish);
          resolve({ kind: 'stream', ...start, events: pipe.events });
        },
        onResponseData(_controller, chunk) {
          clock.tick();
          if (pipe) pipe.push(chunk);
          else chunks.push(chunk);
        },
        onResponseEnd() {
          finish();
          if (pipe) pipe.end();
          else if (start) resolve({ kind: 'answer', ...start, text: new TextDecoder().decode(Buffer.concat(chunks)) });
        },
        onResponseError(_controller, error) {
          fail(error);
        },
      },
    );
  });
