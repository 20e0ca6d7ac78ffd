import { toFile } from 'openai';

export const line = (i: number, more: Readonly<Record<string, unknown>> = {}): string =>
  `${JSON.stringify({
    custom_id: `request-${i}`,
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model: 'simulator/echo', messages: [{ role: 'user', content: `Say ${i}` }] },
    ...more,
  })}\n`;

export const lines = (count: number): string => Array.from({ length: count }, (_, i) => line(i)).join('');

/** What the SDK uploads. */
export const inputFile = (content: string, name = 'input.jsonl') => toFile(Buffer.from(content), name);
