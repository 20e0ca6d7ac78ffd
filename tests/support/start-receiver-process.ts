import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Certificate } from './certificate.ts';
import { freePort } from './free-port.ts';
import type { Received } from './webhook-receiver.ts';

const script = fileURLToPath(new URL('webhook-receiver-process.ts', import.meta.url));

/** A receiver that can be killed and started again on its port. It is started at first. */
export const startReceiverProcess = async (certificate?: Certificate) => {
  const port = await freePort();
  const received: Received[] = [];
  let child: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    const files = certificate ? [certificate.key, certificate.file] : [];
    const started = spawn(process.execPath, [script, String(port), ...files], { stdio: ['ignore', 'pipe', 'inherit'] });
    child = started;
    await new Promise<void>((resolve, reject) => {
      started.once('exit', (code) => reject(new Error(`the receiver ended with ${code}`)));
      createInterface(started.stdout).on('line', (line) => {
        if (line === 'ready') resolve();
        else received.push(JSON.parse(line) as Received);
      });
    });
  };
  const kill = async (): Promise<void> => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  };

  await start();
  return { url: `${certificate ? 'https' : 'http'}://127.0.0.1:${port}/`, received, start, kill };
};

export type ReceiverProcess = Awaited<ReturnType<typeof startReceiverProcess>>;
