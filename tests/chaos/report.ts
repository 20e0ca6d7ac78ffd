import { quantile } from '../support/quantile.ts';
import { type AppliedFault } from './apply-fault.ts';
import { type CallAccount } from './explain-calls.ts';
import type { LiveCallEnd } from './live-calls.ts';
import { faultKinds, type FaultKind } from './plan-faults.ts';
import type { Span } from './watch-progress.ts';

/** A fault that happened, and how long its effects lasted. */
export interface MeasuredFault extends AppliedFault {
  /** From its end to the next recorded result, in milliseconds; undefined when none was due. */
  readonly recoveryMs: number | undefined;
  /** Milliseconds from a worker's death until each of its calls was made again. */
  readonly calledAgainMs: readonly number[];
}

export interface ChaosReport {
  readonly seed: number;
  readonly seconds: number;
  readonly laneConcurrency: number | undefined;
  readonly plan: readonly string[];
  readonly faults: readonly MeasuredFault[];
  readonly batches: number;
  readonly requests: number;
  readonly completed: number;
  readonly failed: ReadonlyMap<string, number>;
  readonly liveCalls: readonly LiveCallEnd[];
  readonly calls: CallAccount;
  /** Counts that fell. */
  readonly falls: readonly string[];
  /** The longest time without a result while some were due, in milliseconds since the start. */
  readonly standstill: Span;
  /** Milliseconds from the last fault's end until every batch had ended. */
  readonly drainMs: number;
  /** How late a timer of the suite itself was at most: a busy machine delays all that it runs. */
  readonly longestLagMs: number;
  /** The broken promises. */
  readonly problems: readonly string[];
  /** Where the logs and files are, when something went wrong. */
  readonly kept?: readonly string[];
}

const seconds = (ms: number): string => (Number.isFinite(ms) ? (ms / 1000).toFixed(1) : '–');

const rowOf = (kind: FaultKind, faults: readonly MeasuredFault[]): string => {
  const own = faults.filter(({ planned }) => planned.kind === kind);
  const recoveries = own.map(({ recoveryMs }) => recoveryMs).filter((ms) => ms !== undefined);
  const again = own.flatMap(({ calledAgainMs }) => calledAgainMs);
  const cells = [
    kind,
    own.length,
    seconds(quantile(recoveries, 0.5)),
    seconds(Math.max(...recoveries)),
    again.length || '–',
    seconds(quantile(again, 0.5)),
    seconds(Math.max(...again)),
  ];
  return `| ${cells.join(' | ')} |`;
};

export const formatReport = (report: ChaosReport): string => {
  const { calls, faults, standstill } = report;
  const failed = [...report.failed].map(([code, count]) => `${count} ${code}`).join(', ');
  const liveErrors = Map.groupBy(
    report.liveCalls.filter(({ error }) => error !== undefined),
    ({ error }) => error,
  );
  const liveFailed = [...liveErrors].map(([error, ends]) => `${ends.length} ${error}`).join(', ');
  return [
    `seed ${report.seed}, ${report.seconds} s, ${report.laneConcurrency ?? 'adaptive'} calls in flight: ${faults.length} faults`,
    ...report.plan,
    '',
    '| fault | times | next result after p50, s | max, s | calls cut off | made again after p50, s | max, s |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...faultKinds
      .filter((kind) => faults.some(({ planned }) => planned.kind === kind))
      .map((kind) => rowOf(kind, faults)),
    '',
    `${report.batches} batches, ${report.requests} requests: ${report.completed} completed, failed: ${failed || 'none'}`,
    `${report.liveCalls.length} live calls; failed: ${liveFailed || 'none'}`,
    `${calls.calls} calls: ${calls.retries} retries, ${calls.repeats} repeats, ${calls.explained} of them of calls that a fault hit (at most ${calls.allowed})`,
    `counts fell ${report.falls.length} times, after Redis had died${report.falls.map((line) => `\n  ${line}`).join('')}`,
    `longest time without a result while some were due: ${seconds(standstill.toMs - standstill.fromMs)} s, from ${seconds(standstill.fromMs)} s on`,
    `every batch had ended ${seconds(report.drainMs)} s after the last fault`,
    `the machine kept the suite itself waiting for up to ${seconds(report.longestLagMs)} s`,
    ...(report.problems.length === 0 ? ['no problems'] : [`${report.problems.length} problems:`, ...report.problems]),
    ...(report.kept ? [`kept: ${report.kept.join(', ')}`] : []),
  ].join('\n');
};
