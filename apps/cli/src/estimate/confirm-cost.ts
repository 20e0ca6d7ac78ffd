import { findPerson } from '../ask.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { formatUsd, plural } from '@promptmill/core/display';
import { estimatedPrice } from './describe-estimate.ts';
import type { InputEstimate } from './estimate-input.ts';

/** Options of both `run` and `submit`. */
export interface ConfirmOptions {
  /** Ask before a batch that may cost more, in USD. Default: 10 on a terminal, else nothing is asked. */
  readonly confirmAbove?: number;
  /** Ask nothing. */
  readonly yes?: boolean;
  /** The batch cannot cost more, in USD. */
  readonly maxCost?: number | undefined;
}

export interface ConfirmCost {
  readonly requests: number;
  /** Is called only when there may be something to ask. */
  readonly estimate: () => Promise<InputEstimate>;
  readonly options: ConfirmOptions;
  readonly say: (text: string) => void;
}

const usualConfirmAboveUsd = 10;

/**
 * Asks before a batch may cost more than `--confirm-above`: what is expected decides, or where no answer is known yet the
 * most that the batch allows, or where nothing limits the answers the price of its input. Nothing is asked when no price
 * is known.
 *
 * @throws CliError `not_confirmed`, and `confirmation_needed` where nobody can be asked.
 */
export const confirmCost = async (
  { requests, estimate, options: { confirmAbove, yes = false, maxCost = Infinity }, say }: ConfirmCost,
  context: CliContext,
): Promise<void> => {
  if (yes) return;
  using person = findPerson(context);
  const aboveUsd = confirmAbove ?? (person ? usualConfirmAboveUsd : Infinity);
  if (maxCost <= aboveUsd) return;
  const estimated = await estimate();
  const { low, expected, high } = estimated.usd;
  const usd = expected ?? high ?? low;
  if (usd === null) {
    say(`the price is ${estimatedPrice(estimated)}`);
    return;
  }
  if (usd <= aboveUsd) return;
  const price = `${plural(requests, 'request')}, estimated price ${estimatedPrice(estimated)}`;
  if (!person)
    throw new CliError(
      'confirmation_needed',
      `${price}: that is above --confirm-above ${formatUsd(aboveUsd)}, and nobody can be asked here; --yes starts it`,
    );
  const answer = await person.ask(`${price}\nStart? [y/N] `);
  if (!/^y(es)?$/i.test(answer?.trim() ?? ''))
    throw new CliError(
      'not_confirmed',
      'nothing was started; the same command with --yes starts it without a question',
    );
};
