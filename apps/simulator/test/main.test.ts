import { once } from 'node:events';
import { expect, test } from 'vitest';
import { startProcess } from './start-process.ts';

test.each(['SIGTERM', 'SIGINT'] as const)(
  'the process says its url, answers, and ends with 0 on %s',
  async (signal) => {
    const { child, url } = await startProcess({ SIMULATOR_FAULTS: '418=1' });
    expect((await fetch(new URL('/livez', url))).status).toBe(200);
    const body = JSON.stringify({ model: 'echo', input: 'Hi' });
    expect((await fetch(`${url}/embeddings`, { method: 'POST', body })).status).toBe(418);
    child.kill(signal);
    expect(await once(child, 'exit')).toEqual([0, null]);
  },
);
