import type { Endpoint } from '@promptmill/core';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { APIError } from 'openai';
import { type AnswerDelta, createStreamAssembler } from './assemble-stream.ts';

export interface StreamListeners {
  /** Gets the text of the answer as it comes, even when the call fails later. */
  readonly onDelta?: ((delta: AnswerDelta) => void) | undefined;
  /**
   * Gets each event as it comes, in the form in which it can be sent on. It does not get an event that says that the
   * call failed.
   */
  readonly onEvent?: ((event: string, data: unknown) => void) | undefined;
}

const lastEvent = '[DONE]';

async function* eventsIn(bytes: ReadableStream<Uint8Array>): AsyncGenerator<EventSourceMessage> {
  const events: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => void events.push(event) });
  const decoder = new TextDecoder();
  for await (const chunk of bytes) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    yield* events.splice(0);
  }
  // The last event may lack its blank line.
  parser.feed(`${decoder.decode()}\n\n`);
  yield* events;
}

const textOf = ({ event, data }: EventSourceMessage): string =>
  `${event === undefined ? '' : `event: ${event}\n`}data: ${data.replaceAll('\n', '\ndata: ')}\n\n`;

const parse = (data: string): unknown => {
  try {
    return JSON.parse(data);
  } catch {
    throw new SyntaxError('an event is not valid JSON');
  }
};

const errorIn = (event: string | undefined, data: unknown): object | undefined => {
  if (typeof data !== 'object' || data === null) return undefined;
  const { error } = data as { error?: unknown };
  if (typeof error === 'object' && error !== null) return error;
  if (error) return { message: typeof error === 'string' ? error : JSON.stringify(error) };
  return event === 'error' ? data : undefined;
};

/**
 * Reads a stream of events to its end and returns the assembled answer; undefined when a part of it is missing. Throws
 * what cut the stream short: an APIError for an event with an error, a SyntaxError, or the connection's error.
 */
export const readStream = async (
  url: Endpoint,
  bytes: ReadableStream<Uint8Array>,
  { onDelta, onEvent }: StreamListeners = {},
): Promise<unknown> => {
  const assembler = createStreamAssembler(url);
  for await (const event of eventsIn(bytes)) {
    if (event.data === lastEvent) {
      onEvent?.(textOf(event), undefined);
      break;
    }
    const data = parse(event.data);
    const error = errorIn(event.event, data);
    if (error) throw new APIError(undefined, error, undefined, undefined);
    const deltas = assembler.add(data);
    onEvent?.(textOf(event), data);
    if (onDelta) for (const delta of deltas) onDelta(delta);
  }
  return assembler.answer();
};
