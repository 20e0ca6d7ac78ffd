import type { Admission } from './admission.ts';
import { createCallOrder } from './call-order.ts';
import type { Fallback } from './fallback.ts';
import { createLaneUpstream, type LaneUpstream, type LaneUpstreamOptions } from './lane-upstream.ts';
import { bestRank } from './rank-probes.ts';

/** A call that waits for the lane to admit it. */
export interface WantedCall {
  readonly batchId: string;
  /** Who it is for, as the lane knows it. */
  readonly source: string;
  readonly isLive: boolean;
  readonly estimatedTokens: number;
  readonly fallback?: Pick<Fallback, 'isBetter'> | undefined;
  /** Upstreams at which the request has failed. It comes to one again only while all others are held. */
  readonly avoid?: ReadonlySet<string> | undefined;
}

/**
 * `fallback`: the call's fallback is better than waiting; `unwanted`: its batch wants no call now; `later`: its place goes
 * to requests of other sources for a while, since calls of its own source failed.
 */
type Entrance = Admission | 'fallback' | 'unwanted' | 'later';

export interface LaneGate {
  /** Waits until the lane's limits allow a call, or until there is no use in waiting; undefined when the signal fires. */
  admit(call: WantedCall, signal: AbortSignal): Promise<Entrance | undefined>;
  /** Whether an upstream that is none of these may be open. */
  hasOther(upstreams: ReadonlySet<string>): boolean;
  /** Admits no more calls: a waiting or new call gets undefined, as if its signal had fired. */
  shut(): void;
  /** Reports the ends of calls that have not been reported yet. */
  close(): Promise<void>;
}

interface Waiter extends WantedCall {
  readonly sinceMs: number;
  settle(outcome: Entrance | undefined): void;
}

export interface LaneGateOptions extends Pick<LaneUpstreamOptions, 'onError'> {
  /** The lane's deployments, or the lane itself where it has none. */
  readonly upstreams: readonly Omit<LaneUpstreamOptions, 'onError' | 'onWake'>[];
  /** Whether a batch wants calls now. */
  readonly isRunning: (batchId: string) => Promise<boolean>;
  /** What live calls may take while batch requests wait too, between 0 and 1. */
  readonly liveShare: number;
}

/** How many calls one question asks for. More of them would keep Redis busy with one script for too long. */
const askAtOnce = 64;
/** A changed limit, a lifted hold or a stopped batch is noticed after this long at the latest. */
const longestWaitMs = 1000;
/** Another process's probe may be answered at any moment, and calls may come that are not held. */
const probeWaitMs = 250;

/**
 * How many calls that are not to be a held lane's next probe give their places to other requests, at most once a second. A
 * batch that comes lines up that near to the lane's present turn.
 */
const giveWay = 10;

/**
 * One process's gate to a lane. Calls wait here in the order in which they came, at no cost: the process asks Redis
 * about the first of them, one question at a time, and asks again at the time that Redis names. A lane has an upstream for
 * each of its deployments; the call that is next goes to any that takes it.
 */
export const createLaneGate = ({ upstreams: given, isRunning, liveShare, onError }: LaneGateOptions): LaneGate => {
  let wake: (() => void) | undefined;
  const upstreams = given.map((upstream) => createLaneUpstream({ ...upstream, onError, onWake: () => wake?.() }));
  const waiting: Waiter[] = [];
  const order = createCallOrder(liveShare);
  let isAsking = false;
  let isShut = false;
  let batchesSeenAtMs = -Infinity;
  /**
   * When Redis last said that the lane is closed, and for how long it had been. Calls with a fallback rely on that for 1 s;
   * then one of them asks again.
   */
  let closedAtMs = -Infinity;
  let closedForMs = 0;

  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const isHeld = (): boolean => upstreams.every((upstream) => upstream.isHeld());

  /** Whether this upstream is held, and not to be asked now. */
  const isBarred = (upstream: LaneUpstream, nowMs: number): boolean => upstream.isHeld() && !upstream.isDue(nowMs);

  /** The calls that may go to this upstream. */
  const waitingFor = (upstream: LaneUpstream): readonly Waiter[] => {
    if (upstreams.length === 1 || waiting.every(({ avoid }) => !avoid?.size)) return waiting;
    const nowMs = performance.now();
    return waiting.filter(
      ({ avoid }) =>
        !avoid?.has(upstream.name) || upstreams.every((other) => avoid.has(other.name) || isBarred(other, nowMs)),
    );
  };

  /** Asks about the first calls that wait, and says when to ask again. `share`: how many of them to ask for, at most 1. */
  const ask = async (upstream: LaneUpstream, share: number): Promise<void> => {
    const candidates = waitingFor(upstream);
    const probe = upstream.isHeld() ? upstream.findProbe(candidates) : undefined;
    const most = Math.min(askAtOnce, Math.ceil(candidates.length * share));
    const asked = order.next(probe ? upstream.mayGoWith(probe, candidates) : candidates, most);
    const askedAtMs = performance.now();
    const estimates = asked.map(({ estimatedTokens }) => estimatedTokens);
    const answer = await upstream.ask(estimates, probe && asked[0]?.source);
    upstream.askAgainAt(0);
    if (answer.waitFor === 'source') return;
    const laneClosedForMs = Math.min(...upstreams.map((each) => each.closedForMs()));
    if (laneClosedForMs > 0) [closedAtMs, closedForMs] = [performance.now(), laneClosedForMs];

    const granted = asked.slice(0, answer.granted);
    // Calls that were given up while the question was under way have nobody else to report their end.
    const givenUp = granted.filter((waiter) => !waiting.includes(waiter));
    for (const call of granted) order.note(call);
    const admissionOf = ({ estimatedTokens }: Waiter): Admission =>
      upstream.makeAdmission(estimatedTokens, answer, askedAtMs);
    for (const waiter of granted) if (!givenUp.includes(waiter)) waiter.settle(admissionOf(waiter));
    for (const waiter of waiting.filter(({ fallback }) => fallback?.isBetter(laneClosedForMs)))
      waiter.settle('fallback');
    if (answer.othersWait && isHeld())
      for (const waiter of waiting.filter((each) => each !== probe && upstream.rankOf(each.source) !== bestRank))
        waiter.settle('later');
    for (const waiter of givenUp) await admissionOf(waiter).reportEnd({ signal: 'unsent' });

    if (answer.waitFor === 'look') {
      upstream.askAgainAt(Infinity);
      upstream.lookNow(answer.atMs);
    } else if (answer.granted < asked.length) {
      const longestMs = answer.waitFor === 'probe' || upstream.hasFailedSources() ? probeWaitMs : longestWaitMs;
      upstream.askAgainAt(performance.now() + Math.min(longestMs, Math.max(1, answer.waitMs)));
    }
  };

  /** The next upstream to ask: one that may be open again, else the one with the most room. Undefined when none is due. */
  const nextUpstream = (): { readonly upstream: LaneUpstream; readonly share: number } | undefined => {
    const nowMs = performance.now();
    const due = upstreams.filter((upstream) => upstream.isDue(nowMs) && waitingFor(upstream).length > 0);
    const [first] = due;
    if (!first || due.length === 1) return first && { upstream: first, share: 1 };
    const upstream =
      due.find((each) => each.isHeld()) ?? due.reduce((best, next) => (next.room() > best.room() ? next : best));
    const roomOf = (each: LaneUpstream): number => Math.max(1, each.room());
    const total = due.reduce((sum, each) => sum + roomOf(each), 0);
    if (upstream.isHeld()) return { upstream, share: 1 };
    return { upstream, share: upstream.room() === Infinity ? 1 / due.length : roomOf(upstream) / total };
  };

  /**
   * Sends away the calls of batches that are stopped or paused: the lane may be held for long. Each batch is read once.
   * When calls of each tenant that waits here have failed, some give their places to requests of other sources.
   */
  const sendUnwantedAway = async (): Promise<void> => {
    const nowMs = performance.now();
    const [first] = waiting;
    if (!first || nowMs - Math.max(first.sinceMs, batchesSeenAtMs) < longestWaitMs) return;
    batchesSeenAtMs = nowMs;
    const ids = [...new Set(waiting.filter(({ isLive }) => !isLive).map(({ batchId }) => batchId))];
    const running = await Promise.all(ids.map(isRunning));
    const unwanted = new Set(ids.filter((_, i) => !running[i]));
    for (const waiter of waiting.filter(({ batchId }) => unwanted.has(batchId))) waiter.settle('unwanted');
    if (!isHeld() || !upstreams.every((upstream) => upstream.hasFailedSources())) return;
    const probes = upstreams.map((upstream) => ({ upstream, probe: upstream.findProbe(waiting) }));
    if (probes.every(({ upstream, probe }) => probe && upstream.rankOf(probe.source) !== bestRank)) {
      const others = waiting.filter((each) => probes.every(({ probe }) => each !== probe));
      for (const waiter of others.slice(0, giveWay)) waiter.settle('later');
    }
  };

  const letIn = async (): Promise<void> => {
    if (isAsking) return;
    isAsking = true;
    try {
      while (waiting.length > 0) {
        const next = nextUpstream();
        if (next) await ask(next.upstream, next.share);
        else {
          const wanted = upstreams.filter((upstream) => waitingFor(upstream).length > 0);
          const askAtMs = Math.min(...wanted.map((upstream) => upstream.askAtMs()));
          await sleep(Math.min(longestWaitMs, Math.max(1, askAtMs - performance.now())));
          await sendUnwantedAway();
        }
      }
    } catch (error) {
      onError(error);
      for (const upstream of upstreams) upstream.askAgainAt(performance.now() + longestWaitMs);
    } finally {
      isAsking = false;
    }
    if (waiting.length > 0) void letIn();
  };

  const wait = (call: WantedCall, signal: AbortSignal, sinceMs: number): Promise<Entrance | undefined> =>
    new Promise((resolve) => {
      const giveUp = (): void => waiter.settle(undefined);
      const waiter: Waiter = {
        ...call,
        sinceMs,
        settle(outcome) {
          signal.removeEventListener('abort', giveUp);
          waiting.splice(waiting.indexOf(waiter), 1);
          resolve(outcome);
        },
      };
      signal.addEventListener('abort', giveUp, { once: true });
      // It may be the next probe of a held lane at once.
      for (const upstream of upstreams) {
        const probe = upstream.hasFailedSources() ? upstream.findProbe(waiting) : undefined;
        if (probe && upstream.rankOf(call.source) < Math.min(0, upstream.rankOf(probe.source))) upstream.askAgainAt(0);
      }
      waiting.push(waiter);
      if (upstreams.some((upstream) => upstream.isDue(sinceMs))) wake?.();
      void letIn();
    });

  return {
    async admit(call, signal) {
      const nowMs = performance.now();
      if (signal.aborted || isShut) return undefined;
      if (call.fallback?.isBetter(nowMs - closedAtMs < longestWaitMs ? closedForMs : 0)) return 'fallback';
      // A deployment gives no free pass.
      const [upstream] = upstreams;
      const grant = waiting.length === 0 ? upstream?.freePass.grantAt(nowMs) : undefined;
      return upstream && grant ? upstream.makeAdmission(call.estimatedTokens, grant, nowMs) : wait(call, signal, nowMs);
    },
    hasOther: (avoided) =>
      upstreams.some((upstream) => !avoided.has(upstream.name) && !isBarred(upstream, performance.now())),
    shut() {
      isShut = true;
      for (const waiter of waiting.slice()) waiter.settle(undefined);
      wake?.();
    },
    async close() {
      await Promise.all(upstreams.map((upstream) => upstream.close()));
    },
  };
};
