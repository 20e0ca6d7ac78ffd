import { openTokenEstimator, type TokenEstimator } from '@promptmill/provider';

export interface LaneEstimatorOptions {
  /** Whether the lane limits tokens now. */
  readonly limitsTokens: () => boolean;
  readonly onError: (error: unknown) => void;
}

/** Estimates the tokens of a lane's calls while the lane limits tokens. Otherwise that would be time lost. */
export const createLaneEstimator = ({ limitsTokens, onError }: LaneEstimatorOptions) => {
  let opening: Promise<TokenEstimator> | undefined;
  let estimator: TokenEstimator | undefined;
  const open = async (): Promise<void> => {
    opening ??= openTokenEstimator();
    estimator = await opening;
  };
  return {
    /** Opens the estimator if it is needed. */
    prepare: async (): Promise<void> => (limitsTokens() ? open() : undefined),
    /** Undefined while tokens are not limited, and for a moment after an admin has limited them. */
    current(): TokenEstimator | undefined {
      if (!limitsTokens()) return undefined;
      if (!estimator) open().catch(onError);
      return estimator;
    },
  };
};
