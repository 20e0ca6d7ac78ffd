/** One server-sent event. Source: https://html.spec.whatwg.org/multipage/server-sent-events.html */
export interface ServerEvent {
  /** Default `message`. */
  readonly name: string;
  readonly data: string;
}

const parseEvent = (lines: readonly string[]): ServerEvent | undefined => {
  let name = 'message';
  const data: string[] = [];
  for (const line of lines) {
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') name = value;
    if (field === 'data') data.push(value);
  }
  return data.length === 0 ? undefined : { name, data: data.join('\n') };
};

/** Yields the events of a stream of lines. It skips comments, and fields other than `event` and `data`. */
export async function* readEvents(lines: AsyncIterable<string>): AsyncGenerator<ServerEvent, void, undefined> {
  let fields: string[] = [];
  for await (const line of lines) {
    if (line !== '') {
      fields.push(line);
      continue;
    }
    const event = parseEvent(fields);
    fields = [];
    if (event) yield event;
  }
}
