import type { Dispatcher, Pool } from 'undici';
import { startCallClock, type TimeLimits } from './call-clock.ts';
import type { RequestHead } from './request-heads.ts';

export interface CallToSend {
  readonly head: RequestHead;
  /** Further headers: names and values, alternating. */
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly limits: TimeLimits;
  readonly signal: AbortSignal;
  /** Called once the call has its connection, before its first byte is sent. If it returns false, nothing is sent. */
  readonly maySend?: (() => boolean) | undefined;
}

export interface ReplyHeaders {
  /** Undefined when the header is absent. Commas join the values of a header that came several times. */
  get(name: string): string | undefined;
}

interface ReplyStart {
  readonly statusCode: number;
  readonly headers: ReplyHeaders;
}

/** What came back from a call: a whole answer, a stream of events, or nothing. */
export type Reply =
  | (ReplyStart & { readonly kind: 'answer'; readonly text: string })
  | (ReplyStart & { readonly kind: 'stream'; readonly events: ReadableStream<Uint8Array> })
  /** The caller's signal fired before the whole answer had come. */
  | { readonly kind: 'aborted' }
  /** `maySend` returned false: the provider never saw the call. */
  | { readonly kind: 'unsent' }
  /** A time limit was passed, or the connection failed. */
  | { readonly kind: 'lost'; readonly error: NodeJS.ErrnoException };

/**
 * A reader leaves a stream after its last event. If the stream then ends within these limits, its connection is kept.
 */
const afterLastEvent = { bytes: 1024, timeoutMs: 1000 };

/** How many unread chunks of a stream pause its connection. */
const waitingChunks = 16;

const abortedError = new Error('the caller gave the call up');
const unsentError = new Error('the call came too late to be sent');

const isEventStream = (statusCode: number, headers: ReplyHeaders): boolean =>
  statusCode >= 200 &&
  statusCode < 300 &&
  (headers.get('content-type') ?? '').toLowerCase().startsWith('text/event-stream');

const byteOrderMark = /^\uFEFF/;
const textOf = (chunks: readonly Buffer[]): string => {
  const [only] = chunks;
  return (only && chunks.length === 1 ? only : Buffer.concat(chunks)).toString().replace(byteOrderMark, '');
};

const headersOf = (raw: Readonly<Record<string, string | string[] | undefined>>): ReplyHeaders => ({
  get(name) {
    const value = raw[name];
    return typeof value === 'object' ? value.join(', ') : value;
  },
});

/** Passes the events of a stream from the connection to their reader. */
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
 * Sends one call and enforces its time limits, from its start to the last byte of the reply. It throws nothing and
 * follows no redirect. A stream that breaks off fails with the reason: the caller's signal, a time limit or the
 * connection.
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
    /**
     * Ends the call. One that waits for a connection ends for its caller now, and is not sent once it has the
     * connection.
     */
    const giveUp = (error: Error): void => {
      failure ??= error;
      if (connection) connection.abort(failure);
      else fail(failure);
    };
    const onAbort = (): void => giveUp(abortedError);
    const clock = startCallClock(limits, giveUp);

    if (signal.aborted) return fail(abortedError);
    signal.addEventListener('abort', onAbort, { once: true });
    pool.dispatch(
      {
        method: head.method,
        path: head.path,
        headers: [...head.headers, ...headers],
        body: body ?? null,
        // The clock enforces the limits.
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      {
        onRequestStart(controller) {
          connection = controller;
          // A throw, unlike an abort, leaves the connection to the next call.
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
          else if (start) resolve({ kind: 'answer', ...start, text: textOf(chunks) });
        },
        onResponseError(_controller, error) {
          fail(error);
        },
      },
    );
  });
