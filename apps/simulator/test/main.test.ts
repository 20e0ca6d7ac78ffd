import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));

test.each(['SIGTERM', 'SIGINT'] as const)(
  'the process says its url, answers, and ends with 0 on %s',
  async (signal) => {
    const child = spawn(process.execPath, [main], {
      env: { PORT: '0', SIMULATOR_FAULTS: '418=1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    const url = /http:\S+\/v1$/.exec(line)?.[0];
    expect((await fetch(new URL('/livez', url))).status).toBe(200);
    const body = JSON.stringify({ model: 'echo', input: 'Hi' });
    expect((await fetch(`${url}/embeddings`, { method: 'POST', body })).status).toBe(418);
    child.kill(signal);
    expect(await once(child, 'exit')).toEqual([0, null]);
  },
);
