import type { OperatorWebhook } from '@promptmill/core';
import type { Logger } from '@promptmill/runtime';

/** The operator's webhooks that are in force. They may be replaced while the process runs. */
export const createOperatorWebhooks = (config: readonly OperatorWebhook[], logger: Logger) => {
  let inForce: readonly OperatorWebhook[] = [];
  const replace = (changed: readonly OperatorWebhook[]): void => {
    inForce = changed;
    for (const { name, missingVariable: variable } of changed)
      if (variable !== undefined) logger.warn({ webhook: name, variable }, 'a webhook is off: its variable is not set');
  };
  replace(config);
  return { inForce: () => inForce, replace };
};
