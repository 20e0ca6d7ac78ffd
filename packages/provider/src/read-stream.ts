import type { Endpoint } from '@promptmill/core';
import type OpenAI from 'openai';
import { Stream } from 'openai/streaming';
import { type AnswerDelta, createStreamAssembler } from './assemble-stream.ts';

/**
 * Reads a stream of events to its end and returns the assembled answer; undefined when a part of it is missing. Throws
 * what cut the stream short: an APIError for an event with an error, a SyntaxError, or the connection's error.
 */
export const readStream = async (
  url: Endpoint,
  events: ReadableStream<Uint8Array>,
  sdk: OpenAI,
  onDelta?: (delta: AnswerDelta) => void,
): Promise<unknown> => {
  const assembler = createStreamAssembler(url);
  for await (const event of Stream.fromSSEResponse(new Response(events), new AbortController(), sdk))
    for (const delta of assembler.add(event)) onDelta?.(delta);
  return assembler.answer();
};
