import { describe, expect, it } from 'vitest';
import { estimateModel, type KnownAnswers, type ModelSample } from './estimate-model.ts';

const prices = { input: 1, output: 2 };
const sample: ModelSample = { requests: 10, tokens: 1000, characters: 4000, outputLimits: Array(10).fill(Infinity) };
const known: KnownAnswers = {
  answers: 200,
  inputTokens: 200 * 107,
  cachedTokens: 0,
  outputTokens: 200 * 50,
  inputCharacters: 200 * 400,
};
const usdOf = (input: number, output: number): number => (input + 2 * output) / 1e6;

describe('an estimate', () => {
  it('expects of all requests what the known answers used', () => {
    const { inputTokens, outputTokens, usd } = estimateModel(1000, sample, known, prices);
    expect(inputTokens).toBe(107_000);
    expect(outputTokens).toEqual({ low: 45_000, expected: 50_000, high: 55_000 });
    expect(usd.expected).toBeCloseTo(usdOf(107_000, 50_000), 9);
    expect(usd.low).toBeCloseTo(0.9 * usdOf(107_000, 50_000), 9);
    expect(usd.high).toBeCloseTo(1.1 * usdOf(107_000, 50_000), 9);
  });

  it.each([
    ['longer prompts with the same addition', 10, 1_000_000],
    ['shorter prompts with the same addition', 0.1, 10_000],
  ])('of %s', (_what, factor, tokens) => {
    const longer = { ...sample, tokens: 1000 * factor, characters: 4000 * factor };
    expect(estimateModel(1000, longer, known, prices).inputTokens).toBe(tokens + 7000);
  });

  it('takes another tokenizer into account', () => {
    const other = { ...known, inputTokens: 200 * 132 };
    const longer = { ...sample, tokens: 10_000, characters: 40_000 };
    expect(estimateModel(10, longer, other, prices).inputTokens).toBe(12_000 + 120);
  });

  it('does not carry the ratio of one language over to another', () => {
    const dense = { ...sample, characters: 1000 };
    expect(estimateModel(10, dense, known, prices).inputTokens).toBeGreaterThanOrEqual(500);
  });

  it('expects no more output than the requests allow', () => {
    const limited = { ...sample, outputLimits: Array(10).fill(20) };
    expect(estimateModel(1000, limited, known, prices).outputTokens).toEqual({
      low: 18_000,
      expected: 20_000,
      high: 20_000,
    });
  });

  it('is wider the fewer answers are known, and never beyond what is possible', () => {
    const few = { ...known, answers: 2, inputTokens: 214, outputTokens: 100, inputCharacters: 800 };
    const { outputTokens, usd } = estimateModel(1000, sample, few, prices);
    expect(outputTokens).toMatchObject({ low: 503, expected: 50_000 });
    expect(usd.low).toBeCloseTo(usdOf(107_000, 0), 9);
  });

  it('without a known answer tells what it costs at least, and at most when the output is limited', () => {
    const limited = { ...sample, outputLimits: Array(10).fill(20) };
    const first = estimateModel(1000, limited, undefined, prices);
    expect(first.outputTokens).toEqual({ low: 0, expected: null, high: 20_000 });
    expect(first.usd).toEqual({ low: usdOf(107_000, 0), expected: null, high: usdOf(107_000, 20_000) });
    expect(estimateModel(1000, sample, undefined, prices).usd.high).toBeNull();
  });

  it('of an unknown price is unknown, and not 0', () => {
    expect(estimateModel(1000, sample, known, undefined).usd).toEqual({ low: null, expected: null, high: null });
    expect(estimateModel(1000, sample, known, undefined).outputTokens.expected).toBe(50_000);
  });

  it('expects as much of the input to be cached as before', () => {
    const cached = { ...known, cachedTokens: known.inputTokens / 2 };
    const { usd } = estimateModel(1000, sample, cached, { input: 1, cachedInput: 0, output: 2 });
    expect(usd.expected).toBeCloseTo(usdOf(53_500, 50_000), 9);
  });
});
