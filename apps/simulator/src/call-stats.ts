import type { CallLogEntry } from './call-log.ts';
import type { Admission } from './rate-limiter.ts';

type RefusalReason = Extract<Admission, { status: 'refused' }>['reason'];

/** Counts since the start. A call is a POST to one of the model endpoints, refused ones included. */
export interface CallStats {
  readonly calls: number;
  readonly inFlight: number;
  readonly peakInFlight: number;
  /** Calls whose caller went away before the answer was whole. */
  readonly aborted: number;
  /** Tokens charged. */
  readonly tokens: number;
  /** Calls that the rate limiter refused, by the limit that they were over. */
  readonly refused: Readonly<Record<RefusalReason, number>>;
  /** Ended calls by status; `0` means no answer. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Ended calls by the fault they met. */
  readonly faults: Readonly<Record<string, number>>;
  /** CPU time of the whole process in milliseconds, user and system. */
  readonly cpuMs: number;
}

export interface CallStatsRecorder {
  /** Returns the number of calls in flight, this one included. */
  readonly begin: () => number;
  readonly refuse: (reason: RefusalReason) => void;
  readonly end: (entry: CallLogEntry) => void;
  readonly read: () => CallStats;
}

export function createCallStats(): CallStatsRecorder {
  const cpuAtStart = process.cpuUsage();
  let calls = 0;
  let inFlight = 0;
  let peakInFlight = 0;
  let aborted = 0;
  let tokens = 0;
  const refused: Record<RefusalReason, number> = { requests: 0, tokens: 0, 'in-flight': 0 };
  const statuses: Record<string, number> = {};
  const faults: Record<string, number> = {};
  return {
    begin() {
      calls++;
      inFlight++;
      peakInFlight = Math.max(peakInFlight, inFlight);
      return inFlight;
    },
    refuse(reason) {
      refused[reason]++;
    },
    end(entry) {
      inFlight--;
      tokens += entry.tokens;
      if (entry.aborted) aborted++;
      statuses[entry.status] = (statuses[entry.status] ?? 0) + 1;
      if (entry.fault) faults[entry.fault] = (faults[entry.fault] ?? 0) + 1;
    },
    read() {
      const cpu = process.cpuUsage(cpuAtStart);
      return {
        calls,
        inFlight,
        peakInFlight,
        aborted,
        tokens,
        refused: { ...refused },
        statuses: { ...statuses },
        faults: { ...faults },
        cpuMs: (cpu.user + cpu.system) / 1000,
      };
    },
  };
}
