import type { CallEnd, LaneAnswer, LaneControl, LaneHold } from '@promptmill/queue';
import type { FreePass } from './free-pass.ts';
import type { EndReporter } from './report-ends.ts';

interface AdmissionEnd extends Pick<
  CallEnd,
  'signal' | 'usedTokens' | 'retryAfterMs' | 'reason' | 'source' | 'requestsPerCall'
> {
  /** Whether the call got a 2xx. */
  readonly isSuccess?: boolean;
  /** Why it failed, for the log. */
  readonly message?: string;
}

/** The right to make one call. Its holder reports how the call ended. */
export interface Admission {
  /** The upstream of the lane that it goes to. */
  readonly upstream: string;
  /** Says that the call goes out now. False when that is too late: the lane may not count the call any more. */
  send(): boolean;
  /** Says how the call ended. Resolves with the lane's answer, unless the end is told later, with others. */
  reportEnd(end: AdmissionEnd): Promise<LaneHold | undefined>;
}

/** What a lane said when it admitted a call. */
export type Grant = Pick<LaneAnswer, 'atMs' | 'isProbe' | 'sendWithinMs'>;

export interface MakeAdmissionOptions {
  readonly upstream: string;
  readonly control: Pick<LaneControl, 'countLate' | 'reportEnd'>;
  readonly freePass: Pick<FreePass, 'revoke'>;
  readonly ends: Pick<EndReporter, 'add'>;
  /** Called once when a call has ended. */
  readonly onEnd: () => void;
  /** Called when a call's end begins a hold of the lane, once for all workers together. */
  readonly onHold: (reason: string, heldUntilMs: number) => void;
  /** Called when the lane asks for a neutral look, at this time of Redis's clock in milliseconds. */
  readonly onLookDue: (atMs: number) => void;
  /** Called when the lane knows how a probe ended. */
  readonly onProbeEnd: () => void;
  readonly onError: (error: unknown) => void;
}

/**
 * A call that goes out later than this after its question, for example on a cold connection, counts from when it goes
 * out.
 */
const punctualMs = 25;

/**
 * Makes admissions. `askedAtMs` is the time of the question that admitted the call, in milliseconds of
 * `performance.now()`.
 */
export const createMakeAdmission =
  ({ upstream, control, freePass, ends, onEnd, onHold, onLookDue, onProbeEnd, onError }: MakeAdmissionOptions) =>
  (estimatedTokens: number, grant: Grant, askedAtMs: number): Admission => {
    const { atMs: grantedAtMs, isProbe, sendWithinMs = Infinity } = grant;
    let counted: Promise<number | undefined> | undefined;
    let hasEnded = false;

    const countLate = async (): Promise<number | undefined> => {
      try {
        return await control.countLate({ grantedAtMs, estimatedTokens });
      } catch (error) {
        onError(error);
        return undefined;
      }
    };

    return {
      upstream,
      send() {
        const lateMs = performance.now() - askedAtMs;
        if (lateMs > sendWithinMs) return false;
        if (lateMs > punctualMs && sendWithinMs < Infinity) counted = countLate();
        return true;
      },
      async reportEnd({ isSuccess = false, message, ...end }) {
        // A report that Redis refuses comes again.
        if (!hasEnded) onEnd();
        hasEnded = true;
        if (end.signal === 'ok' && !isProbe && estimatedTokens === 0 && (end.requestsPerCall ?? 1) === 1) {
          ends.add(grantedAtMs, isSuccess);
          return undefined;
        }
        if (end.signal !== 'none' && end.signal !== 'unsent') freePass.revoke();
        const countedAtMs = await counted;
        const succeededAtMs = isSuccess ? grantedAtMs : undefined;
        const call = { ...end, grantedAtMs, countedAtMs, estimatedTokens, succeededAtMs };
        const hold = await control.reportEnd(call);
        if (hold.heldUntilMs > 0) freePass.revoke();
        if (hold.began) onHold(message ?? end.reason ?? end.signal, hold.heldUntilMs);
        if (hold.isLookDue) onLookDue(hold.atMs);
        if (isProbe) onProbeEnd();
        return hold;
      },
    };
  };
