import { type BatchUsage, nanosToUsd } from '@promptmill/core';
import { Counter, type Registry } from 'prom-client';

/** A tenant chooses the names of models: any more pairs of tenant and model count as `other`. */
const maxPairs = 500;

export interface SpendingLabels {
  readonly tenant: string;
  /** `provider/model` */
  readonly model: string;
}

/** What one pair has used. */
interface Sums {
  answers: number;
  inputTokens: number;
  outputTokens: number;
  spentNanoUsd: number;
  wastedNanoUsd: number;
  unpriced: number;
}

/**
 * Counters of what tenants use and spend, in a registry of their own: who may read the other metrics, such as any tenant,
 * may not read these.
 */
export const createSpending = (registry: Registry) => {
  // prom-client takes some µs for each addition, so it gets the sums when they are read.
  const pairs = new Map<string, { readonly labels: SpendingLabels; readonly sums: Sums }>();
  const pairOf = ({ tenant, model }: SpendingLabels): Sums => {
    const key = `${tenant} ${model}`;
    const known = pairs.get(key);
    if (known) return known.sums;
    if (pairs.size >= maxPairs && model !== 'other') return pairOf({ tenant: 'other', model: 'other' });
    const sums = { answers: 0, inputTokens: 0, outputTokens: 0, spentNanoUsd: 0, wastedNanoUsd: 0, unpriced: 0 };
    pairs.set(key, { labels: { tenant, model }, sums });
    return sums;
  };

  const addCounter = (name: string, help: string, valuesOf: (sums: Sums) => Readonly<Record<string, number>>): void => {
    registry.registerMetric(
      new Counter<string>({
        name,
        help,
        labelNames: ['tenant', 'model', 'kind'],
        registers: [],
        collect() {
          this.reset();
          for (const { labels, sums } of pairs.values())
            for (const [kind, value] of Object.entries(valuesOf(sums))) this.inc({ ...labels, kind }, value);
        },
      }),
    );
  };
  addCounter(
    'promptmill_answers_total',
    'Answers; kind is priced or unpriced (their cost is unknown)',
    ({ answers, unpriced }) => ({ priced: answers - unpriced, unpriced }),
  );
  addCounter(
    'promptmill_tokens_total',
    'Tokens of answers that became results; kind is input or output',
    ({ inputTokens, outputTokens }) => ({ input: inputTokens, output: outputTokens }),
  );
  addCounter(
    'promptmill_spent_usd_total',
    'Cost as far as it is known; kind is result, or wasted for calls that gave none',
    ({ spentNanoUsd, wastedNanoUsd }) => ({ result: nanosToUsd(spentNanoUsd), wasted: nanosToUsd(wastedNanoUsd) }),
  );

  return {
    /**
     * Counts an answer.
     *
     * @param charge with its cost in billionths of a dollar; undefined when that is unknown
     * @param usage undefined when the answer became no result
     */
    add(charge: SpendingLabels & { readonly nanoUsd: number | undefined }, usage: BatchUsage | undefined): void {
      const sums = pairOf(charge);
      sums.answers++;
      if (charge.nanoUsd === undefined) sums.unpriced++;
      if (!usage) {
        sums.wastedNanoUsd += charge.nanoUsd ?? 0;
        return;
      }
      sums.spentNanoUsd += charge.nanoUsd ?? 0;
      sums.inputTokens += usage.inputTokens;
      sums.outputTokens += usage.outputTokens;
    },
  };
};
