import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';
import {
  isProcessFault,
  type PlannedFault,
  type ProcessFaultKind,
  type Target,
  type WorldFaultKind,
} from './plan-faults.ts';

/** A fault that happened. Times are in epoch milliseconds. */
export interface AppliedFault {
  readonly planned: PlannedFault;
  /** When it began to hurt. */
  readonly fromMs: number;
  /** When it was over: for a process that was killed, its death. */
  readonly toMs: number;
  /** When whatever it hit could work again. */
  readonly healedMs: number;
  /** What went otherwise than the fault means to. */
  readonly problem?: string;
}

type Span = Omit<AppliedFault, 'planned' | 'healedMs'>;

const span = async (hurt: () => Promise<unknown>): Promise<Span> => {
  const fromMs = Date.now();
  await hurt();
  return { fromMs, toMs: Date.now() };
};

export const createApplyFault = (cluster: Cluster) => {
  const kill = (target: Target): Promise<Span> => span(() => cluster.processOf(target).stop('SIGKILL'));

  const terminate = async (target: Target): Promise<Span> => {
    let code: number | NodeJS.Signals = 0;
    const times = await span(async () => (code = await cluster.processOf(target).stop('SIGTERM')));
    return code === 0 ? times : { ...times, problem: `ended with ${code} on SIGTERM` };
  };

  /** A new process in its place that dies at a fail point; one that does not get there in time is killed anyway. */
  const dieAt = async (target: Target, point: string, withinMs: number): Promise<Span> => {
    const { problem } = await terminate(target);
    await cluster.startAgain(target, { PROMPTMILL_FAIL_POINT: point });
    const gaveUp = new AbortController();
    const { ended } = cluster.processOf(target);
    await Promise.race([ended, delay(withinMs, undefined, { signal: gaveUp.signal }).catch(() => {})]);
    gaveUp.abort();
    const times = await kill(target);
    return problem === undefined ? times : { ...times, problem };
  };

  const hurtProcess: Record<ProcessFaultKind, (target: Target, durationMs: number) => Promise<Span>> = {
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

  const killRedis = (durationMs: number, lostBytes: number): Promise<Span> =>
    span(async () => {
      await cluster.redis.kill();
      if (lostBytes > 0) await cluster.redis.cutTail(lostBytes);
      await delay(durationMs);
      await cluster.redis.restart();
    });

  const stopProvider = (durationMs: number, faults: object): Promise<Span> =>
    span(async () => {
      await cluster.control({ faults });
      await delay(durationMs);
      await cluster.control({ faults: {} });
    });

  const hurtWorld: Record<WorldFaultKind, (durationMs: number) => Promise<Span>> = {
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
      const times = await hurtWorld[planned.kind](planned.durationMs);
      return { planned, ...times, healedMs: times.toMs };
    }
    const { target } = planned;
    const died = isDead(target) ? { problem: 'had died by itself before' } : {};
    if (isDead(target)) await cluster.startAgain(target);
    const times = await hurtProcess[planned.kind](target, planned.durationMs);
    if (isDead(target)) await cluster.startAgain(target);
    return { planned, ...times, healedMs: Date.now(), ...died };
  };

  const busy = new Map<string, Promise<unknown>>();
  /** A process that takes long to end or to start has its next fault later. */
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
