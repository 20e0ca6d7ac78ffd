import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';
import {
  isProcessFault,
  type PlannedFault,
  type ProcessFaultKind,
  type SharedFaultKind,
  type Target,
} from './plan-faults.ts';
import type { Span } from './watch-progress.ts';

/** From the start of a fault to its end. For a killed process the end is its death. */
interface FaultSpan extends Span {
  /** What went wrong that the fault does not intend. */
  readonly problem?: string;
}

/** A fault that happened. */
export interface AppliedFault extends FaultSpan {
  readonly planned: PlannedFault;
  /** When all that it hit could work again, in epoch milliseconds. */
  readonly healedMs: number;
}

const span = async (injectFault: () => Promise<unknown>): Promise<FaultSpan> => {
  const fromMs = Date.now();
  await injectFault();
  return { fromMs, toMs: Date.now() };
};

export const createApplyFault = (cluster: Cluster) => {
  const kill = (target: Target): Promise<FaultSpan> => span(() => cluster.processOf(target).stop('SIGKILL'));

  const terminate = async (target: Target): Promise<FaultSpan> => {
    let code: number | NodeJS.Signals = 0;
    const times = await span(async () => (code = await cluster.processOf(target).stop('SIGTERM')));
    return code === 0 ? times : { ...times, problem: `ended with ${code} on SIGTERM` };
  };

  /**
   * Puts a process in the target's place that kills itself at a fail point. It is killed if it is not there in time.
   */
  const dieAt = async (target: Target, point: string, withinMs: number): Promise<FaultSpan> => {
    const { problem } = await terminate(target);
    await cluster.startAgain(target, { PROMPTMILL_FAIL_POINT: point });
    const waiting = new AbortController();
    const { ended } = cluster.processOf(target);
    await Promise.race([ended, delay(withinMs, undefined, { signal: waiting.signal }).catch(() => {})]);
    waiting.abort();
    const times = await kill(target);
    return problem === undefined ? times : { ...times, problem };
  };

  const injectIntoProcess: Record<ProcessFaultKind, (target: Target, durationMs: number) => Promise<FaultSpan>> = {
    async 'kill -9'(target, durationMs) {
      const times = await kill(target);
      await delay(durationMs);
      return times;
    },
    SIGSTOP: (target, durationMs) =>
      span(async () => {
        const { child } = cluster.processOf(target);
        child.kill('SIGSTOP');
        await delay(durationMs);
        child.kill('SIGCONT');
      }),
    SIGTERM: terminate,
    partition: (target, durationMs) =>
      span(async () => {
        cluster.setCut(target, true);
        await delay(durationMs);
        cluster.setCut(target, false);
      }),
    'segment-written': (target, durationMs) => dieAt(target, 'segment-written', durationMs),
    'batch-recorded': (target, durationMs) => dieAt(target, 'batch-recorded', durationMs),
  };

  const killRedis = (durationMs: number, lostBytes: number): Promise<FaultSpan> =>
    span(async () => {
      await cluster.redis.kill();
      if (lostBytes > 0) await cluster.redis.cutTail(lostBytes);
      await delay(durationMs);
      await cluster.redis.restart();
    });

  const stopProvider = (durationMs: number, faults: object): Promise<FaultSpan> =>
    span(async () => {
      await cluster.control({ faults });
      await delay(durationMs);
      await cluster.control({ faults: {} });
    });

  const injectShared: Record<SharedFaultKind, (durationMs: number) => Promise<FaultSpan>> = {
    'Redis kill -9': (durationMs) => killRedis(durationMs, 0),
    'Redis loses its tail': (durationMs) => killRedis(durationMs, 64 * 1024),
    'Redis slow': (durationMs) =>
      span(async () => {
        cluster.setDelay(50);
        await delay(durationMs);
        cluster.setDelay(undefined);
      }),
    'Redis paused': (durationMs) =>
      span(async () => {
        await cluster.admin.client('PAUSE', durationMs);
        await delay(durationMs);
      }),
    'provider 503': (durationMs) => stopProvider(durationMs, { 503: 1 }),
    'provider reset': (durationMs) => stopProvider(durationMs, { reset: 1 }),
  };

  const isDead = (target: Target): boolean => {
    const { child } = cluster.processOf(target);
    return child.exitCode !== null || child.signalCode !== null;
  };

  const apply = async (planned: PlannedFault): Promise<AppliedFault> => {
    if (!isProcessFault(planned)) {
      const times = await injectShared[planned.kind](planned.durationMs);
      return { planned, ...times, healedMs: times.toMs };
    }
    const { target } = planned;
    const died = isDead(target) ? { problem: 'had died by itself before' } : {};
    if (isDead(target)) await cluster.startAgain(target);
    const times = await injectIntoProcess[planned.kind](target, planned.durationMs);
    if (isDead(target)) await cluster.startAgain(target);
    return { planned, ...times, healedMs: Date.now(), ...died };
  };

  const busy = new Map<string, Promise<unknown>>();
  /** Applies a fault, once the one before of the same process is over. */
  return async (planned: PlannedFault): Promise<AppliedFault> => {
    const whom = isProcessFault(planned) ? `${planned.target.role} ${planned.target.index}` : 'all';
    const applied = (busy.get(whom) ?? Promise.resolve()).then(() => apply(planned));
    const caught = applied.catch((error: unknown): AppliedFault => {
      const atMs = Date.now();
      return { planned, fromMs: atMs, toMs: atMs, healedMs: atMs, problem: String(error) };
    });
    busy.set(whom, caught);
    return caught;
  };
};
