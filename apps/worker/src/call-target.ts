import type { Provider } from '@promptmill/core';
import type { ProviderClient } from '@promptmill/provider';

/** Where a call goes out: the lane's provider, or one of its deployments. */
export interface CallTarget {
  readonly provider: Provider;
  readonly client: ProviderClient;
  /** Its own name for the model, if it has one. */
  readonly model?: string | undefined;
  /** Its name; undefined for a provider. */
  readonly deployment?: string | undefined;
}
