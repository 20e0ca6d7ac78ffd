import type { BatchObject } from '@promptmill/core';
import type OpenAI from 'openai';
import { inputOf } from './batches.ts';
import type { Stack } from './stack.ts';

/** USD per million tokens of the simulator's model `echo`, input and output alike: the provider's log has their sum. */
const usdPerMillion = 100;

export const pricedConfig = (more: object = {}): string =>
  JSON.stringify({
    providers: { simulator: { models: { echo: { prices: { input: usdPerMillion, output: usdPerMillion } } } } },
    ...more,
  });

/** Prompts of 1 to 150 words, a few long ones among many short ones. The model `echo` answers with as many. */
export const inputOfRandomLengths = (count: number, seed = 1): string => {
  let state = seed;
  const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  return inputOf(count, (i) => `${i}${' word'.repeat(Math.floor(150 ** random()))}`);
};

/** What the provider has charged for: the answers it gave, those that nobody took among them. */
export const spentAtProvider = async (stack: Stack): Promise<{ usd: number; dearest: number; answers: number }> => {
  const answered = (await stack.calls()).filter(({ status }) => status === 200).map(({ tokens }) => tokens);
  const usd = (tokens: number): number => (tokens * usdPerMillion) / 1e6;
  return {
    usd: usd(answered.reduce((sum, tokens) => sum + tokens, 0)),
    dearest: usd(Math.max(0, ...answered)),
    answers: answered.length,
  };
};

export const extensionOf = (batch: OpenAI.Batches.Batch): BatchObject['promptmill'] =>
  (batch as unknown as BatchObject).promptmill;

/** Whether a batch waits because a limit of costs is reached. */
export const waitsForMoney = (batch: OpenAI.Batches.Batch): boolean =>
  extensionOf(batch).waiting_for.some(({ lane }) => lane === 'cost_limit');
