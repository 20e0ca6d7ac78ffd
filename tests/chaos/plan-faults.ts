import type { Random } from './random.ts';

/** A process of the stack, by its role and its number from 0. */
export interface Target {
  readonly role: 'worker' | 'collector' | 'api';
  readonly index: number;
}

export type Fleet = Readonly<Record<Target['role'], number>>;

/** The faults of one process: which roles have each, for how long, and how many cards it has in the deck. */
const processFaults = {
  /** kill -9; started again afterwards. */
  'kill -9': { roles: ['worker', 'collector', 'api'], durationMs: [500, 1500], cards: 4 },
  /** SIGSTOP, then SIGCONT: longer than a job's lock lasts. */
  SIGSTOP: { roles: ['worker', 'collector', 'api'], durationMs: [8000, 10_000], cards: 2 },
  /** SIGTERM, as a deploy does, and a new process at once. */
  SIGTERM: { roles: ['worker', 'collector', 'api'], durationMs: [0, 0], cards: 2 },
  /** Every byte between the process and Redis is lost, while the sockets stay open. */
  partition: { roles: ['worker', 'collector', 'api'], durationMs: [2000, 12_000], cards: 2 },
  /** Killed once a segment is in the store and its results are still in the stream. */
  'segment-written': { roles: ['collector'], durationMs: [10_000, 10_000], cards: 1 },
  /** Killed once a batch is recorded and has no job yet. */
  'batch-recorded': { roles: ['api'], durationMs: [10_000, 10_000], cards: 1 },
} as const satisfies Record<
  string,
  { readonly roles: readonly Target['role'][]; readonly durationMs: readonly [number, number]; readonly cards: number }
>;

/** The faults of what all processes share. */
const sharedFaults = {
  /** kill -9 of Redis, which comes back with its append-only file. */
  'Redis kill -9': { durationMs: [1000, 3000], cards: 2 },
  /** The same, without the end of that file, as after a power cut. Only when asked for. */
  'Redis loses its tail': { durationMs: [1000, 3000], cards: 0 },
  /** Each byte to and from Redis comes late. */
  'Redis slow': { durationMs: [2000, 5000], cards: 1 },
  /** CLIENT PAUSE: Redis takes commands and answers none. */
  'Redis paused': { durationMs: [1000, 4000], cards: 1 },
  /** Every call is answered with 503. */
  'provider 503': { durationMs: [2000, 6000], cards: 1 },
  /** Every call's connection is reset. */
  'provider reset': { durationMs: [2000, 6000], cards: 1 },
} as const satisfies Record<string, { readonly durationMs: readonly [number, number]; readonly cards: number }>;

export type ProcessFaultKind = keyof typeof processFaults;
export type SharedFaultKind = keyof typeof sharedFaults;
export type FaultKind = ProcessFaultKind | SharedFaultKind;

interface Timing {
  /** Since the start. */
  readonly atMs: number;
  /** For a fail point: how long it may take to be reached. */
  readonly durationMs: number;
}
export type ProcessFault = Timing & { readonly kind: ProcessFaultKind; readonly target: Target };
type SharedFault = Timing & { readonly kind: SharedFaultKind };
export type PlannedFault = ProcessFault | SharedFault;

export const faultKinds = [...Object.keys(processFaults), ...Object.keys(sharedFaults)] as readonly FaultKind[];

export const isProcessFault = (fault: PlannedFault): fault is ProcessFault => 'target' in fault;

const isProcessKind = (kind: FaultKind): kind is ProcessFaultKind => Object.hasOwn(processFaults, kind);
const traitsOf = (kind: FaultKind) => (isProcessKind(kind) ? processFaults[kind] : sharedFaults[kind]);

const gapMs = [1000, 5000] as const;
/** Pause between two faults of the same process, or of what all share: their effects show in this time. */
const settleMs = 4000;

/** A shuffled deck in which each kind has its cards. A short run meets many kinds, a long one all. */
const deckOf = (random: Random, extra: readonly FaultKind[]): FaultKind[] =>
  random.shuffle([...faultKinds.flatMap((kind) => Array.from({ length: traitsOf(kind).cards }, () => kind)), ...extra]);

/**
 * Plans which fault happens when and to which process: one every 1 to 5 s, all over by `durationMs`. A process has one
 * fault at a time, and so has what all share. Faults of different processes overlap. `extra` are more cards for the
 * deck.
 */
export const planFaults = (
  random: Random,
  { fleet, durationMs, extra = [] }: { fleet: Fleet; durationMs: number; extra?: readonly FaultKind[] },
): PlannedFault[] => {
  const faults: PlannedFault[] = [];
  const busyUntilMs = new Map<string, number>();
  let deck: FaultKind[] = [];

  const targetsOf = (kind: ProcessFaultKind, atMs: number): Target[] =>
    processFaults[kind].roles
      .flatMap((role) => Array.from({ length: fleet[role] }, (_, index) => ({ role, index })))
      .filter(({ role, index }) => (busyUntilMs.get(`${role} ${index}`) ?? 0) <= atMs);

  const draw = (kind: FaultKind, atMs: number): PlannedFault | undefined => {
    const [shortest, longest] = traitsOf(kind).durationMs;
    const timing = { atMs, durationMs: random.between(shortest, longest) };
    const untilMs = atMs + timing.durationMs + settleMs;
    if (untilMs > durationMs) return undefined;
    if (!isProcessKind(kind)) {
      if ((busyUntilMs.get('shared') ?? 0) > atMs) return undefined;
      busyUntilMs.set('shared', untilMs);
      return { kind, ...timing };
    }
    const targets = targetsOf(kind, atMs);
    if (targets.length === 0) return undefined;
    const target = random.pick(targets);
    busyUntilMs.set(`${target.role} ${target.index}`, untilMs);
    return { kind, target, ...timing };
  };

  for (let atMs = random.between(...gapMs); atMs < durationMs; atMs += random.between(...gapMs)) {
    if (deck.length === 0) deck = deckOf(random, extra);
    // The first card that can be played now; the others keep their places.
    for (const [place, kind] of deck.entries()) {
      const fault = draw(kind, atMs);
      if (!fault) continue;
      faults.push(fault);
      deck.splice(place, 1);
      break;
    }
  }
  return faults;
};

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export const describeFault = (fault: PlannedFault): string => {
  const whom = isProcessFault(fault) ? ` ${fault.target.role} ${fault.target.index}` : '';
  return `${seconds(fault.atMs).padStart(8)}  ${fault.kind}${whom}${fault.durationMs > 0 ? `, ${seconds(fault.durationMs)}` : ''}`;
};
