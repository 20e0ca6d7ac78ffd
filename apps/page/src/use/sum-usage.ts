import type { UsageRow } from '../api/answers.ts';
import { formatCost } from '../parts/format.ts';

/** Sums over all rows. */
export interface UsageSum {
  readonly answers: number;
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** In USD, of the answers of known price; null when there are answers, and none has one. */
  readonly spent: number | null;
  readonly wasted: number;
  /** Answers whose cost is unknown. */
  readonly unpriced: number;
}

/** What a row cost as far as that is known; null when nothing of it is. */
const knownCost = ({ cost, answers, unpriced_answers: unpriced }: UsageRow): number | null =>
  unpriced > 0 && unpriced >= answers ? null : cost.spent_known;

/** What a row cost, for people: `$0.42`, `≥ $0.42` where only a part is known, or a dash. */
export const costText = (row: UsageRow): string => {
  const known = knownCost(row);
  return row.cost.spent === null && known !== null ? `≥ ${formatCost(known)}` : formatCost(known);
};

export const sumUsage = (rows: readonly UsageRow[]): UsageSum => {
  const sum = (valueOf: (row: UsageRow) => number): number => rows.reduce((total, row) => total + valueOf(row), 0);
  const known = rows.map(knownCost);
  return {
    answers: sum((row) => row.answers),
    inputTokens: sum((row) => row.input_tokens),
    cachedTokens: sum((row) => row.cached_tokens),
    outputTokens: sum((row) => row.output_tokens),
    spent: known.every((cost) => cost === null) && rows.length > 0 ? null : sum(({ cost }) => cost.spent_known),
    wasted: sum(({ cost }) => cost.wasted ?? 0),
    unpriced: sum((row) => row.unpriced_answers),
  };
};

const dayMs = 86_400_000;

/** The last days up to a time, in UTC, as `2026-11-28`; the oldest first. */
export const lastDays = (count: number, nowMs: number): string[] =>
  Array.from({ length: count }, (_, i) => new Date(nowMs - (count - 1 - i) * dayMs).toISOString().slice(0, 10));

/** What a chart shows of a day. The cost is what is known of it. */
export interface DayPoint {
  readonly day: string;
  readonly spent: number | null;
  readonly tokens: number;
}

/** A point for each day, also for those in which nothing was used. */
export const pointsOf = (days: readonly string[], rows: readonly UsageRow[]): DayPoint[] =>
  days.map((day) => {
    const row = rows.find((each) => each.day === day);
    return { day, spent: row ? knownCost(row) : 0, tokens: row ? row.input_tokens + row.output_tokens : 0 };
  });
