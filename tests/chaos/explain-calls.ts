import type { CallLogEntry } from '@promptmill/simulator';
import type { AppliedFault } from './apply-fault.ts';
import type { Fleet } from './plan-faults.ts';

/** What the account reads of a line of the simulator's call log. */
export type ProviderCall = Pick<CallLogEntry, 'at' | 'endedAt' | 'key' | 'status' | 'fault' | 'model' | 'aborted'>;

/** A time in which a fault may have lost calls, so that they are made again. */
interface Costly {
  readonly fromMs: number;
  readonly toMs: number;
  readonly calls: number;
  /** Whether it may have lost live calls alone. */
  readonly isLive?: boolean;
}

/**
 * An api that says nothing for so long may be taken for dead. Its live calls are given up, and made again when it is back.
 */
const apiSilenceMs = 7000;
/** Longest time from the end of a call until its result is in Redis, which may be paused for up to 4 s. */
const recordMs = 5000;
/** A Redis that is killed may lose what it wrote in the last two seconds. */
const lostTailMs = 2000;
/** The end of the append-only file may hold the writes of a minute in which there were few. */
const lostBytesMs = 60_000;
/**
 * For so long after Redis is back, a worker may go on with a job that Redis, without its last writes, gives to another.
 */
const backMs = 2000;
/** A worker notices a dead connection after this long, and learns only then that it has lost its jobs. */
const deadFlowMs = 8000;

/**
 * The calls that a fault may cost at most: those in flight on the workers it hit, and those that a dead Redis forgot.
 */
const costOf = (
  { planned, fromMs, toMs }: AppliedFault,
  { fleet, concurrency, forgotten }: { fleet: Fleet; concurrency: number; forgotten: number },
): Costly | undefined => {
  const isWorker = 'target' in planned && planned.target.role === 'worker';
  const isApi = 'target' in planned && planned.target.role === 'api';
  const silencedApi: Costly | undefined =
    isApi && toMs - fromMs > apiSilenceMs
      ? { fromMs, toMs: toMs + deadFlowMs, calls: fleet.worker * concurrency, isLive: true }
      : undefined;
  switch (planned.kind) {
    case 'kill -9':
      return isWorker ? { fromMs, toMs, calls: concurrency } : undefined;
    case 'SIGSTOP':
      return isWorker ? { fromMs, toMs, calls: concurrency } : silencedApi;
    case 'partition':
      return isWorker ? { fromMs, toMs: toMs + deadFlowMs, calls: concurrency } : silencedApi;
    case 'Redis kill -9':
      return { fromMs: fromMs - lostTailMs, toMs: toMs + backMs, calls: fleet.worker * concurrency + forgotten };
    case 'Redis loses its tail':
      return { fromMs: fromMs - lostBytesMs, toMs: toMs + backMs, calls: fleet.worker * concurrency + forgotten };
    default:
      return undefined;
  }
};

/** Whether a call failed in a way that allows another attempt. */
const isRetryable = ({ status, fault }: ProviderCall): boolean =>
  status === 429 || status >= 500 || (fault !== undefined && fault !== 'status' && fault !== 'content-filter');

export const isAnswered = (call: ProviderCall): boolean =>
  call.status >= 200 && call.status < 300 && call.aborted === undefined && !isRetryable(call);

export interface CallAccount {
  readonly calls: number;
  /** Calls that follow one whose failure allows another attempt. */
  readonly retries: number;
  /** Calls that follow one that was answered, or that its caller left. */
  readonly repeats: number;
  /** Repeats of a call that a fault hit. */
  readonly explained: number;
  /** Repeats that the faults may cost at most. */
  readonly allowed: number;
  /** The keys of requests with a repeat that no fault explains. */
  readonly unexplained: readonly string[];
}

export interface ExplainCallsOptions {
  readonly fleet: Fleet;
  readonly concurrency: number;
  /** Results that Redis was seen to forget, in all. */
  readonly forgotten: number;
}

/** Counts which calls were made again, and which of those a fault explains. */
export const explainCalls = (
  calls: readonly ProviderCall[],
  faults: readonly AppliedFault[],
  options: ExplainCallsOptions,
) => {
  const costly = faults.map((fault) => costOf(fault, options)).filter((cost) => cost !== undefined);
  /** Whether a fault may have kept a call's answer from being recorded. */
  const wasHit = ({ at, endedAt, key }: ProviderCall): boolean =>
    costly.some(
      ({ fromMs, toMs, isLive = false }) =>
        at <= toMs && endedAt + recordMs >= fromMs && (!isLive || key?.startsWith('live_') === true),
    );

  const byRequest = Map.groupBy(
    calls.filter(({ key }) => key !== null),
    ({ key }) => key ?? '',
  );
  let retries = 0;
  let repeats = 0;
  const unexplained: string[] = [];
  for (const [key, list] of byRequest)
    for (const call of list.toSorted((a, b) => a.at - b.at).slice(0, -1)) {
      if (isRetryable(call) && call.aborted === undefined) retries++;
      else {
        repeats++;
        if (!wasHit(call)) unexplained.push(key);
      }
    }
  const account: CallAccount = {
    calls: calls.length,
    retries,
    repeats,
    explained: repeats - unexplained.length,
    allowed: costly.reduce((sum, { calls }) => sum + calls, 0),
    unexplained,
  };
  return { account, wasHit, callsOf: (key: string): readonly ProviderCall[] => byRequest.get(key) ?? [] };
};

/**
 * Milliseconds from the death of a worker until each call that it had in flight was made again elsewhere. Calls that
 * were not made again are left out.
 */
export const timesUntilCalledAgain = (calls: readonly ProviderCall[], diedAtMs: number): number[] => {
  const left = calls.filter(({ aborted, endedAt }) => aborted && Math.abs(endedAt - diedAtMs) < 500);
  const keys = new Set(left.map(({ key }) => key));
  const again = new Map<string | null, number>();
  for (const { key, at } of calls)
    if (keys.has(key) && at > diedAtMs) again.set(key, Math.min(again.get(key) ?? Infinity, at - diedAtMs));
  return [...again.values()];
};
