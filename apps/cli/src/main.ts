import { constants } from 'node:os';
import { fetch } from 'undici';
import { StopRequest } from './context.ts';
import { runCli } from './run-cli.ts';

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, () => {
    const exitCode = 128 + constants.signals[name];
    if (stop.signal.aborted) process.exit(exitCode);
    stop.abort(new StopRequest(exitCode));
  });

// Whoever read along may go away: `promptmill results … | head`, or a terminal that was closed.
process.stdout.on('error', () => process.exit(0));
process.stderr.on('error', () => {});

const exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  screen: process.stderr,
  fetch,
  now: () => performance.now(),
  signal: stop.signal,
});
// What is still open, such as a connection of a server that could not start, must not keep a finished command here.
process.stdout.write('', () => process.exit(exitCode));
