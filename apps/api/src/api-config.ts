import type { Config } from '@promptmill/runtime';

/** What dispatch needs of the configuration. */
export type DispatchConfig = Pick<
  Config,
  'redisUrl' | 'redisPrefix' | 'lanes' | 'tenants' | 'retry' | 'window' | 'limits' | 'keepDays'
>;

/** What the api needs of the configuration. */
export type ApiConfig = DispatchConfig &
  Pick<
    Config,
    | 'apiPort'
    | 'host'
    | 'apiKeys'
    | 'board'
    | 'allowedHosts'
    | 'trustProxy'
    | 'metricsToken'
    | 'graceMs'
    | 'tenants'
    | 'keepAnswersHours'
    | 'webhooks'
    | 'allowPrivateWebhooks'
  >;
