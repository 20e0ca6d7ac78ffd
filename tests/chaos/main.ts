/**
 * Runs Promptmill under faults, with real processes and real signals, and checks all that happened.
 *
 *   pnpm test:chaos [--seed 1] [--seconds 120] [--requests 12000] [--concurrency 5] [--latency-ms 80] [--drain-seconds 300]
 *                   [--max-recovery-seconds 10] [--lose-tails]
 *
 * The seed decides which faults happen when and to which process, and what is submitted. Exits with 1 when a promise
 * was broken.
 */
import { parseArgs } from 'node:util';
import { formatReport } from './report.ts';
import { runChaos } from './run-chaos.ts';

const { values } = parseArgs({
  // `pnpm test:chaos -- --seed 2` passes the dashes on.
  args: process.argv.slice(2).filter((argument) => argument !== '--'),
  options: {
    seed: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '120' },
    requests: { type: 'string', default: '12000' },
    concurrency: { type: 'string', default: '5' },
    'latency-ms': { type: 'string', default: '80' },
    'drain-seconds': { type: 'string', default: '300' },
    'lose-tails': { type: 'boolean', default: false },
    'max-recovery-seconds': { type: 'string', default: '10' },
  },
});

const report = await runChaos({
  seed: Number(values.seed),
  seconds: Number(values.seconds),
  requests: Number(values.requests),
  concurrency: Number(values.concurrency),
  latencyMs: Number(values['latency-ms']),
  drainSeconds: Number(values['drain-seconds']),
  maxRecoverySeconds: Number(values['max-recovery-seconds']),
  loseTails: values['lose-tails'],
  onEvent: (line) => console.error(line),
});
console.log(formatReport(report));
process.exitCode = report.problems.length === 0 ? 0 : 1;
