import type { UsageRow } from '../api/answers.ts';

/** Sums over all rows. */
export interface UsageSum {
  readonly answers: number;
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** In USD, of the rows whose cost is known; null when that is none of several. */
  readonly spent: number | null;
  readonly wasted: number;
  /** Answers whose cost is unknown. */
  readonly unpriced: number;
}

export const sumUsage = (rows: readonly UsageRow[]): UsageSum => {
  const sum = (valueOf: (row: UsageRow) => number): number => rows.reduce((total, row) => total + valueOf(row), 0);
  const isKnown = rows.length === 0 || rows.some(({ cost }) => cost.spent !== null);
  return {
    answers: sum((row) => row.answers),
    inputTokens: sum((row) => row.input_tokens),
    cachedTokens: sum((row) => row.cached_tokens),
    outputTokens: sum((row) => row.output_tokens),
    spent: isKnown ? sum(({ cost }) => cost.spent ?? 0) : null,
    wasted: sum(({ cost }) => cost.wasted ?? 0),
    unpriced: sum((row) => row.unpriced_answers),
  };
};

const dayMs = 86_400_000;

/** The last days up to a time, in UTC, as `2026-11-28`; the oldest first. */
export const lastDays = (count: number, nowMs: number): string[] =>
  Array.from({ length: count }, (_, i) => new Date(nowMs - (count - 1 - i) * dayMs).toISOString().slice(0, 10));

/** What a chart shows of a day. Null: unknown. */
export interface DayPoint {
  readonly day: string;
  readonly spent: number | null;
  readonly tokens: number;
}

/** A point for each day, also for those in which nothing was used. */
export const pointsOf = (days: readonly string[], rows: readonly UsageRow[]): DayPoint[] =>
  days.map((day) => {
    const row = rows.find((each) => each.day === day);
    return { day, spent: row ? row.cost.spent : 0, tokens: row ? row.input_tokens + row.output_tokens : 0 };
  });
