import { constants } from 'node:os';
import { keepHeapSmall } from '@promptmill/runtime';
import { fetch } from 'undici';
import { StopRequest } from './context.ts';
import { runCli } from './run-cli.ts';
import { createOutput, createScreen } from './terminal.ts';

keepHeapSmall();
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, () => {
    const exitCode = 128 + constants.signals[name];
    if (stop.signal.aborted) process.exit(exitCode);
    stop.abort(new StopRequest(exitCode));
  });

// The reader of the output may go away: `promptmill results … | head`, or a closed terminal.
process.stdout.on('error', () => process.exit(0));
process.stderr.on('error', () => {});

const exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  stdin: process.stdin,
  stdout: createOutput(process.stdout),
  stdoutIsTerminal: process.stdout.isTTY,
  screen: createScreen(process.stderr, process.env['TERM']),
  fetch,
  now: () => performance.now(),
  signal: stop.signal,
});
// Something still open, such as a connection of a server that could not start, must not keep the process alive.
process.stdout.write('', () => process.exit(exitCode));
