import type { LaneControl } from '@promptmill/queue';

/** How long the end of a call may wait for others. */
const togetherMs = 50;

export interface EndReporterOptions {
  readonly control: Pick<LaneControl, 'reportEnd'>;
  readonly onError: (error: unknown) => void;
}

/** Reports the ends of calls that show only that the provider works, many of them at once. */
export const createEndReporter = ({ control, onError }: EndReporterOptions) => {
  const nothing = { count: 0, grantedAtMs: 0, succeededAtMs: -1 };
  let ended = nothing;
  let timer: NodeJS.Timeout | undefined;

  const report = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const { count, ...times } = ended;
    ended = nothing;
    if (count > 0) await control.reportEnd({ signal: 'ok', ...times, estimatedTokens: 0, count });
  };

  return {
    /** A call that the lane let in at this time has ended well, with a 2xx or with a refusal of the request alone. */
    add(grantedAtMs: number, isSuccess: boolean): void {
      ended = {
        count: ended.count + 1,
        grantedAtMs: Math.max(ended.grantedAtMs, grantedAtMs),
        succeededAtMs: isSuccess ? Math.max(ended.succeededAtMs, grantedAtMs) : ended.succeededAtMs,
      };
      timer ??= setTimeout(() => {
        report().catch(onError);
      }, togetherMs);
    },
    /** Reports at once what has not been reported. */
    report,
  };
};

export type EndReporter = ReturnType<typeof createEndReporter>;
