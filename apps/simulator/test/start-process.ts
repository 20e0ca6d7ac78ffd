import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));

/** A simulator in a process of its own that ends with the test; it listens on a free port. */
export async function startProcess(env: Readonly<Record<string, string>>): Promise<{
  readonly child: ChildProcess;
  readonly url: string;
}> {
  const child = spawn(process.execPath, [main], { env: { PORT: '0', ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, url: /http:\S+\/v1$/.exec(line)?.[0] ?? '' };
}
