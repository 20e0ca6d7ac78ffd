import { setTimeout as delay } from 'node:timers/promises';
import { type AppliedFault, createApplyFault } from './apply-fault.ts';
import { checkBatches } from './check-batches.ts';
import { startCluster } from './cluster.ts';
import { explainCalls, timesUntilCalledAgain } from './explain-calls.ts';
import { createMeasureRecovery, longestStandstill } from './measure-recovery.ts';
import { checkLiveCalls, makeLiveCalls, planLiveCalls } from './live-calls.ts';
import { describeFault, type FaultKind, isProcessFault, planFaults } from './plan-faults.ts';
import { planWorkload } from './plan-workload.ts';
import { createRandom } from './random.ts';
import type { ChaosReport, MeasuredFault } from './report.ts';
import { createClients, submitBatches } from './submit-batches.ts';
import { watchProgress } from './watch-progress.ts';

export interface ChaosOptions {
  /** Decides the faults and the workload. */
  readonly seed: number;
  /** How long faults happen and batches are submitted. */
  readonly seconds: number;
  readonly requests: number;
  /** Calls in flight of each of the three workers. */
  readonly concurrency: number;
  readonly latencyMs: number;
  /** How long the batches may take to end once all is well again. */
  readonly drainSeconds: number;
  /** P5: the longest that the next result may take after a fault's end. */
  readonly maxRecoverySeconds: number;
  /** Whether Redis also loses the end of its append-only file, as after a power cut. Default: it never does. */
  readonly loseTails?: boolean;
  readonly onEvent?: (line: string) => void;
}

const fleet = { worker: 3, collector: 2, api: 2 };
/** A Redis that is killed may forget its last writes, so that counts fall right after. */
const fallAfterMs = 5000;

/**
 * Until when counts may fall after Redis died. A lost tail may leave half of a script's effects; these may show, and be
 * repaired, at any time.
 */
const mayFallUntilMs = ({ planned, toMs }: AppliedFault): number =>
  planned.kind === 'Redis loses its tail' ? Infinity : toMs + fallAfterMs;

const isRedisDeath = (kind: FaultKind): boolean => kind === 'Redis kill -9' || kind === 'Redis loses its tail';

/** Waits until each api is ready; false when one is not by the deadline. */
const areReady = async (apiUrls: readonly string[], deadlineMs: number): Promise<boolean> => {
  for (const url of apiUrls)
    while (!(await fetch(`${url}/readyz`).catch(() => undefined))?.ok) {
      if (Date.now() > deadlineMs) return false;
      await delay(100);
    }
  return true;
};

/** Runs Promptmill under faults, then checks all that happened against its promises. */
export const runChaos = async (options: ChaosOptions): Promise<ChaosReport> => {
  const { seed, seconds, requests, concurrency, latencyMs, drainSeconds, maxRecoverySeconds } = options;
  const { loseTails = false, onEvent = () => {} } = options;
  const random = createRandom(seed);
  const durationMs = seconds * 1000;
  const plannedFaults = planFaults(random.fork(), {
    fleet,
    durationMs,
    extra: loseTails ? ['Redis loses its tail', 'Redis loses its tail'] : [],
  });
  const workload = planWorkload(random.fork(), { requests, durationMs, apis: fleet.api });

  const livePlan = planLiveCalls(random.fork(), { calls: Math.ceil(requests / 20), durationMs, apis: fleet.api });

  // Half of the seeds let the answers decide how many calls may be in flight.
  const laneConcurrency = random.next() < 0.5 ? fleet.worker * concurrency : undefined;

  const cluster = await startCluster({ fleet, concurrency, latencyMs, laneConcurrency });
  let keep = true;
  try {
    const applyFault = createApplyFault(cluster);
    const progress = watchProgress(cluster.admin, cluster.prefix);
    const startedAtMs = Date.now();
    const endsAtMs = startedAtMs + durationMs;
    const giveUpAtMs = endsAtMs + drainSeconds * 1000;
    const tell = (what: string): void =>
      onEvent(`${((Date.now() - startedAtMs) / 1000).toFixed(1).padStart(6)} s  ${what}`);

    const [{ submitted, problems }, liveCalls, applied] = await Promise.all([
      submitBatches(workload, {
        apiUrls: cluster.apiUrls,
        startedAtMs,
        giveUpAtMs,
        onSubmitted: (id) => progress.add(id),
      }),
      makeLiveCalls(livePlan, { apiUrls: cluster.apiUrls, startedAtMs, giveUpAtMs }),
      Promise.all(
        plannedFaults.map(async (fault): Promise<AppliedFault> => {
          await delay(startedAtMs + fault.atMs - Date.now());
          onEvent(describeFault(fault));
          return applyFault(fault);
        }),
      ),
    ]);
    tell('healed');
    while (progress.open().length > 0 && Date.now() < giveUpAtMs) await delay(100);
    const drainMs = Date.now() - Math.max(startedAtMs, ...applied.map(({ healedMs }) => healedMs));
    for (const left of progress.open()) problems.push(`P4: has not ended: ${left}`);
    tell('checking');

    const seen = await progress.close();
    const calls = await cluster.calls();
    const measureRecovery = createMeasureRecovery(applied, fleet, seen);
    const faults = applied.map((fault): MeasuredFault => ({
      ...fault,
      recoveryMs: measureRecovery(fault),
      calledAgainMs:
        fault.planned.kind === 'kill -9' && isProcessFault(fault.planned) && fault.planned.target.role === 'worker'
          ? timesUntilCalledAgain(calls, fault.toMs)
          : [],
    }));
    for (const { planned, recoveryMs = 0, problem } of faults) {
      if (problem !== undefined) problems.push(`${describeFault(planned).trim()}: ${problem}`);
      if (recoveryMs > maxRecoverySeconds * 1000)
        problems.push(
          `P5: ${(recoveryMs / 1000).toFixed(1)} s without a result after: ${describeFault(planned).trim()}`,
        );
    }

    const redisDeaths = applied.filter(({ planned }) => isRedisDeath(planned.kind));
    const forgotten = seen.falls.reduce((sum, { results }) => sum + results, 0);
    for (const { batchId, atMs, from, to } of seen.falls)
      if (!redisDeaths.some((death) => atMs >= death.fromMs && atMs < mayFallUntilMs(death)))
        problems.push(`P2: the counts of ${batchId} fell: ${from} → ${to}`);

    const explained = explainCalls(calls, applied, { fleet, concurrency, forgotten });
    const { account } = explained;
    if (account.repeats > account.allowed)
      problems.push(`P3: ${account.repeats} calls were repeated, the faults may cost ${account.allowed}`);
    for (const key of account.unexplained.slice(0, 20)) problems.push(`P3: ${key} was called again without a fault`);

    problems.push(...checkLiveCalls(liveCalls, { ...explained, faults: applied, startedAtMs, calls }));

    // The last fault may have been a death of Redis, and all batches had ended before it.
    if (!(await areReady(cluster.apiUrls, Date.now() + maxRecoverySeconds * 1000)))
      problems.push(`P5: an api is not ready ${maxRecoverySeconds} s after the last fault`);
    const standstill = longestStandstill(seen);
    const [client] = createClients(cluster.apiUrls);
    const findings = await checkBatches(client!, submitted, { ...explained, mayForget: loseTails });
    problems.push(...findings.problems);
    keep = problems.length > 0;
    return {
      seed,
      seconds,
      laneConcurrency,
      plan: plannedFaults.map(describeFault),
      faults,
      batches: submitted.length,
      requests,
      completed: findings.completed,
      failed: findings.failed,
      liveCalls,
      calls: account,
      falls: seen.falls.map(({ batchId, from, to }) => `${batchId}: ${from} → ${to}`),
      standstill: { fromMs: standstill.fromMs - startedAtMs, toMs: standstill.toMs - startedAtMs },
      drainMs,
      longestLagMs: seen.longestLagMs,
      problems,
      ...(keep ? { kept: [cluster.directory, cluster.redis.directory] } : {}),
    };
  } finally {
    await cluster.stop({ keep });
  }
};
