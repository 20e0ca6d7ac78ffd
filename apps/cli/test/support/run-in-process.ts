import { Readable, Writable } from 'node:stream';
import { fetch } from 'undici';
import { runCli } from '../../src/run-cli.ts';
import { createScreen } from '../../src/terminal.ts';

export interface InProcess {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

/** Runs a command in this process, as into a pipe. */
export const runInProcess = async (
  args: readonly string[],
  { env = {}, stdin = '' }: InProcess = {},
): Promise<{ exit: number; stdout: string; stderr: string }> => {
  let stdout = '';
  let stderr = '';
  const exit = await runCli(args, {
    env,
    stdin: Readable.from([Buffer.from(stdin)]),
    stdout: new Writable({
      write(chunk, _encoding, done) {
        stdout += String(chunk);
        done();
      },
    }),
    stdoutIsTerminal: false,
    screen: createScreen({ write: (text: string) => (stderr += text) }),
    fetch,
    now: () => performance.now(),
    signal: new AbortController().signal,
  });
  return { exit, stdout, stderr };
};
