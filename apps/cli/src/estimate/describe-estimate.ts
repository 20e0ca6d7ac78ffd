import { formatCount, formatUsdRange } from '@promptmill/core/display';
import { rowsText } from '../results/batch-summary.ts';
import type { InputEstimate } from './estimate-input.ts';

const tokensText = (estimate: InputEstimate): string => {
  const { inputTokens, hasImages, makesImages } = estimate;
  const { expected, high } = estimate.outputTokens;
  const input = `${formatCount(inputTokens)} in${hasImages ? ' without the images' : ''}`;
  if (expected !== null) return `${input}, about ${formatCount(expected)} out`;
  if (high !== null) return `${input}, at most ${formatCount(high)} out`;
  return makesImages
    ? `${input}; what the images take is known when they are there`
    : `${input}; nothing limits the answers, --max-tokens does`;
};

/** `about $1.20 ($1.08 to $1.32)`, `$0.10 to $0.50`, `at least $0.10`, or that it is unknown. */
export const estimatedPrice = ({ usd, unpriced }: InputEstimate): string =>
  formatUsdRange(usd) ?? `unknown: nothing says what ${unpriced.join(', ')} costs; prices in promptmill.yaml can`;

/** What requests will use and cost, for people. */
export const describeEstimate = (estimate: InputEstimate): string =>
  rowsText([
    ['tokens', tokensText(estimate)],
    ['price', estimatedPrice(estimate)],
  ]);
