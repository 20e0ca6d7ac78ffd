import { addModelUsage, dayOf, type ModelUsage, type UsageRecords } from '@promptmill/queue';

/** Answers of the latest days are taken until there are enough. */
const mostDays = 7;
const enoughAnswers = 1000;
const dayMs = 86_400_000;

/**
 * What a tenant's latest answers of each model used and cost: the moving averages from which the cost of further ones is
 * estimated.
 */
export const readKnownAnswers = async (
  usage: UsageRecords,
  tenant: string,
  nowMs: number,
): Promise<ReadonlyMap<string, ModelUsage>> => {
  const days = await Promise.all(
    Array.from({ length: mostDays }, (_, i) => usage.ofDay(tenant, dayOf(nowMs - i * dayMs))),
  );
  const known = new Map<string, ModelUsage>();
  for (const ofModel of days.flat()) {
    const newer = known.get(ofModel.model);
    if (newer && newer.answers >= enoughAnswers) continue;
    known.set(ofModel.model, newer ? addModelUsage(newer, ofModel) : ofModel);
  }
  return known;
};
