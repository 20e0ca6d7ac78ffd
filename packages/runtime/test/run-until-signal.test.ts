import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, expect, it } from 'vitest';

let child: ChildProcess | undefined;

afterEach(() => void child?.kill('SIGKILL'));

interface Line {
  readonly event?: string;
  readonly msg?: string;
  readonly closing?: string;
}

/** Runs a scenario of signal-process.ts, and sends each signal when its event comes. */
const run = async (scenario: string, graceMs: number, signals: Record<string, NodeJS.Signals>) => {
  const file = join(import.meta.dirname, 'signal-process.ts');
  const running = spawn(process.execPath, [file, scenario, String(graceMs)], { stdio: ['ignore', 'pipe', 'inherit'] });
  child = running;
  const exit = once(running, 'exit');
  const lines: Line[] = [];
  for await (const text of createInterface({ input: running.stdout })) {
    const line = JSON.parse(text) as Line;
    lines.push(line);
    const signal = signals[line.event ?? ''];
    if (signal) running.kill(signal);
  }
  const [code] = await exit;
  return { code: code as number, lines, events: lines.flatMap(({ event }) => event ?? []) };
};

it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s closes in order and exits 0', async (signal) => {
  const { code, events } = await run('close', 5000, { started: signal });
  expect(events).toEqual(['started', 'closed first', 'closed last']);
  expect(code).toBe(0);
});

it('exits 1 at the deadline, and names the part that hung', async () => {
  const { code, lines } = await run('hang', 50, { started: 'SIGTERM' });
  expect(code).toBe(1);
  expect(lines.at(-1)).toMatchObject({ msg: 'closing took too long: exiting', closing: 'hanging' });
});

it('exits 1 at once on a second signal', async () => {
  const { code, lines } = await run('hang', 60_000, { started: 'SIGINT', hanging: 'SIGINT' });
  expect(code).toBe(1);
  expect(lines.at(-1)).toMatchObject({ msg: 'second signal: exiting at once', closing: 'hanging' });
});

it('exits 1 when a part cannot close, and closes the others', async () => {
  const { code, events } = await run('fail', 5000, { started: 'SIGTERM' });
  expect(code).toBe(1);
  expect(events).toContain('closed last');
});

it('logs an uncaught error, closes and exits 1', async () => {
  const { code, lines, events } = await run('throw', 5000, {});
  expect(code).toBe(1);
  expect(lines).toContainEqual(expect.objectContaining({ msg: 'uncaught error: closing' }));
  expect(events).toContain('closed last');
});

it('keeps the exit code of a process that ends by itself', async () => {
  expect((await run('end', 5000, {})).code).toBe(3);
});
