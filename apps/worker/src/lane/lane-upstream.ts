import type { LaneAnswer, LaneControl } from '@promptmill/queue';
import { type MakeAdmissionOptions, createMakeAdmission } from './admission.ts';
import { createFreePass } from './free-pass.ts';
import { bestRank, rankProbes, tenantOf } from './rank-probes.ts';
import { createEndReporter } from './report-ends.ts';
import { createTellCalls } from './tell-calls.ts';

/** What calls of a lane go to: one of its deployments, or its provider. */
export interface LaneUpstreamOptions extends Pick<MakeAdmissionOptions, 'onHold' | 'onError'> {
  /** The name of the deployment, or of the lane where it has none. */
  readonly name: string;
  readonly control: Pick<LaneControl, 'admit' | 'countLate' | 'reportEnd' | 'endCall' | 'tellCalls'>;
  /** Whether it is a deployment, whose calls in flight are counted. */
  readonly isDeployment: boolean;
  /** Makes a neutral look and reports it. `atMs` is the time by Redis's clock. Throws nothing. */
  readonly look: (atMs: number) => Promise<void>;
  /** The longest one call may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Ends the sleep of the gate. */
  readonly onWake: () => void;
}

interface KnownSource {
  readonly source: string;
}

const heldAnswers = new Set<LaneAnswer['waitFor']>(['hold', 'probe', 'source', 'look']);
/** The upstream waits for a probe's answer no longer than this: the process that made the probe may have died. */
const longestProbeMs = 8000;

/** What a process knows of one upstream of a lane: when to ask it next, how it is held, and how much room it has. */
export const createLaneUpstream = (options: LaneUpstreamOptions) => {
  const { name, control, isDeployment, look, timeoutMs, onWake, onHold, onError } = options;
  const freePass = createFreePass();
  const ends = createEndReporter({ control, onError });
  const calls = isDeployment ? createTellCalls({ control, onError }) : undefined;
  /** From then on it may be asked, in milliseconds of `performance.now()`. */
  let askAtMs = 0;
  let waitsFor: LaneAnswer['waitFor'] = '';
  let isHeld = false;
  let closedForMs = 0;
  let hasFailedSources = false;
  let rankOf = rankProbes([]);
  let room = Infinity;

  const askSoon = (): void => {
    askAtMs = 0;
    onWake();
  };
  const lookNow = (atMs: number): void => void look(atMs).then(askSoon);
  const onEnd = (): void => {
    if (!calls) return;
    calls.end();
    room++;
    if (waitsFor === 'calls') askSoon();
  };
  const makeAdmission = createMakeAdmission({
    upstream: name,
    control,
    freePass,
    ends,
    onEnd,
    onHold,
    onLookDue: lookNow,
    onProbeEnd: askSoon,
    onError,
  });

  return {
    name,
    freePass,
    makeAdmission,
    lookNow,
    isDue: (nowMs: number): boolean => askAtMs <= nowMs,
    askAtMs: (): number => askAtMs,
    askAgainAt(atMs: number): void {
      askAtMs = atMs;
    },
    isHeld: (): boolean => isHeld,
    /** For how long it has been closed, in milliseconds; 0 while it is not. */
    closedForMs: (): number => closedForMs,
    /** Whether calls of known sources have failed, so that it matters who probes. */
    hasFailedSources: (): boolean => isHeld && hasFailedSources,
    /** How many more calls it may have in flight, as far as this process knows. Infinity before its first answer. */
    room: (): number => room,
    rankOf: (source: string): number => rankOf(source),

    /** Of the calls that wait, the one whose request finds out best whether it is open. */
    findProbe<T extends KnownSource>(waiting: readonly T[]): T | undefined {
      return waiting.reduce<T | undefined>(
        (best, next) => (best && rankOf(best.source) <= rankOf(next.source) ? best : next),
        undefined,
      );
    },
    /** The calls that may go together with its next probe: all of a tenant of which none has failed. */
    mayGoWith<T extends KnownSource>(probe: T, waiting: readonly T[]): readonly T[] {
      return rankOf(probe.source) === bestRank
        ? waiting.filter(({ source }) => tenantOf(source) === tenantOf(probe.source))
        : [probe];
    },

    /** Asks Redis how many of these calls may go. */
    async ask(estimates: readonly number[], source: string | undefined): Promise<LaneAnswer> {
      const renewFreePass = freePass.awaitAnswer();
      const answer = await control.admit(estimates, Math.min(timeoutMs, longestProbeMs), source);
      renewFreePass(answer);
      waitsFor = answer.waitFor;
      isHeld = answer.isProbe || heldAnswers.has(answer.waitFor);
      closedForMs = answer.closedForMs;
      hasFailedSources = answer.failedSources.length > 0;
      rankOf = rankProbes(answer.failedSources);
      room = answer.room;
      return answer;
    },
    async close(): Promise<void> {
      await Promise.all([ends.report(), calls?.close()]);
    },
  };
};

export type LaneUpstream = ReturnType<typeof createLaneUpstream>;
