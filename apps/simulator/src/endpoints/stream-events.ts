/** One server-sent event. Source: https://html.spec.whatwg.org/multipage/server-sent-events.html */
export function serverSentEvent(data: object, eventName?: string): string {
  const line = `data: ${JSON.stringify(data)}\n\n`;
  return eventName === undefined ? line : `event: ${eventName}\n${line}`;
}

/** Ends a stream of completions. */
export const doneEvent = 'data: [DONE]\n\n';

/** A text in the pieces a model would stream it in. */
export function splitIntoDeltas(text: string): string[] {
  return text.match(/.{1,16}/gsu) ?? [];
}
