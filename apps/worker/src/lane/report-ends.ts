import type { LaneControl } from '@promptmill/queue';

/** How long the end of a call may wait for others. */
const togetherMs = 50;

export interface EndReporterOptions {
  readonly control: Pick<LaneControl, 'reportEnd'>;
  readonly onError: (error: unknown) => void;
}

/** Reports the ends of calls that show only that the provider works, many of them at once. */
export const createEndReporter = ({ control, onError }: EndReporterOptions) => {
  let ended = { count: 0, grantedAtMs: 0 };
  let timer: NodeJS.Timeout | undefined;

  const report = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const { count, grantedAtMs } = ended;
    ended = { count: 0, grantedAtMs: 0 };
    if (count > 0) await control.reportEnd({ signal: 'ok', grantedAtMs, estimatedTokens: 0, count });
  };

  return {
    /** A call that the lane let in at this time has ended well. */
    add(grantedAtMs: number): void {
      ended = { count: ended.count + 1, grantedAtMs: Math.max(ended.grantedAtMs, grantedAtMs) };
      timer ??= setTimeout(() => {
        report().catch(onError);
      }, togetherMs);
    },
    /** Reports at once what has not been reported. */
    report,
  };
};

export type EndReporter = ReturnType<typeof createEndReporter>;
