import { type BatchUsage, nanosToUsd } from '@promptmill/core';
import { Counter, type Registry } from 'prom-client';

/** A tenant chooses the names of models: any more pairs of tenant and model count as `other`. */
const maxPairs = 500;

export interface SpendingLabels {
  readonly tenant: string;
  /** `provider/model` */
  readonly model: string;
}

/**
 * Counters of what tenants use and spend, in a registry of their own: who may read the other metrics, such as any tenant,
 * may not read these.
 */
export const createSpending = (registry: Registry) => {
  const labelNames = ['tenant', 'model'] as const;
  const registers = [registry];
  const answers = new Counter({
    name: 'promptmill_answers_total',
    help: 'Answers that became results',
    labelNames,
    registers,
  });
  const tokens = new Counter({
    name: 'promptmill_tokens_total',
    help: 'Tokens of answers that became results; kind is input or output',
    labelNames: [...labelNames, 'kind'] as const,
    registers,
  });
  const spent = new Counter({
    name: 'promptmill_spent_usd_total',
    help: 'Cost of answers, as far as their prices are known; kind is result, or wasted for those that became none',
    labelNames: [...labelNames, 'kind'] as const,
    registers,
  });
  const unpriced = new Counter({
    name: 'promptmill_unpriced_calls_total',
    help: 'Answers of unknown cost',
    labelNames,
    registers,
  });

  const openPair = ({ tenant, model }: SpendingLabels) => {
    const labels = { tenant, model };
    return {
      answers: answers.labels(labels),
      inputTokens: tokens.labels({ ...labels, kind: 'input' }),
      outputTokens: tokens.labels({ ...labels, kind: 'output' }),
      spent: spent.labels({ ...labels, kind: 'result' }),
      wasted: spent.labels({ ...labels, kind: 'wasted' }),
      unpriced: unpriced.labels(labels),
    };
  };
  const pairs = new Map<string, ReturnType<typeof openPair>>();
  const pairOf = (labels: SpendingLabels) => {
    const key = `${labels.tenant} ${labels.model}`;
    const known = pairs.get(key);
    if (known) return known;
    if (pairs.size > maxPairs) return pairOf({ tenant: 'other', model: 'other' });
    const pair = openPair(labels);
    pairs.set(key, pair);
    return pair;
  };
  // The last resort has to be there before the others use up its place.
  pairOf({ tenant: 'other', model: 'other' });

  return {
    /**
     * Counts an answer.
     *
     * @param charge with its cost in billionths of a dollar; undefined when that is unknown
     * @param usage undefined when the answer became no result
     */
    add(charge: SpendingLabels & { readonly nanoUsd: number | undefined }, usage: BatchUsage | undefined): void {
      const pair = pairOf(charge);
      if (usage) {
        pair.answers.inc();
        pair.inputTokens.inc(usage.inputTokens);
        pair.outputTokens.inc(usage.outputTokens);
      }
      if (charge.nanoUsd === undefined) pair.unpriced.inc();
      else (usage ? pair.spent : pair.wasted).inc(nanosToUsd(charge.nanoUsd));
    },
  };
};
