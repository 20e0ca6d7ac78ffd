import { expect, it } from 'vitest';
import { readEvents } from './read-events.ts';

async function* linesOf(text: string): AsyncGenerator<string> {
  yield* text.split('\n');
}

it('yields the name and data of each event, and skips comments and an event without an end', async () => {
  const events = [];
  const text = ': alive\n\nevent: progress\nid: 1\ndata: {"a":\ndata: 1}\n\ndata:x\n\nevent: none\n\ndata: cut';
  for await (const event of readEvents(linesOf(text))) events.push(event);
  expect(events).toEqual([
    { name: 'progress', data: '{"a":\n1}' },
    { name: 'message', data: 'x' },
  ]);
});
