import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import { startSimulator, type CallLogEntry, type Simulator, type SimulatorOptions } from '../src/index.ts';

export interface SimulatorForTest extends Simulator {
  /** POSTs a chat completion whose one message is the prompt. */
  ask(
    prompt: string,
    init?: { headers?: Record<string, string>; signal?: AbortSignal; stream?: boolean },
  ): Promise<Response>;
  /** Waits until the call log has this many lines. */
  readLog(lineCount: number): Promise<CallLogEntry[]>;
}

/** A simulator with a call log that ends with the test. */
export async function startForTest(options: SimulatorOptions = {}): Promise<SimulatorForTest> {
  const folder = await mkdtemp(join(tmpdir(), 'simulator-'));
  const callLogPath = join(folder, 'logs', 'calls.jsonl');
  const simulator = await startSimulator({ callLogPath, ...options });
  onTestFinished(async () => {
    await simulator.close();
    await rm(folder, { recursive: true });
  });
  return {
    ...simulator,
    ask: (prompt, { headers = {}, signal, stream = false } = {}) =>
      fetch(`${simulator.url}/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ model: 'echo', stream, messages: [{ role: 'user', content: prompt }] }),
        ...(signal && { signal }),
      }),
    readLog: (lineCount) =>
      vi.waitFor(async () => {
        const lines = (await readFile(callLogPath, 'utf8')).split('\n').slice(0, -1);
        if (lines.length !== lineCount) throw new Error(`${lines.length} lines, not ${lineCount}`);
        return lines.map((line) => JSON.parse(line) as CallLogEntry);
      }),
  };
}
