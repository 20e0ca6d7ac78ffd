import { baseUrlEnvOf, presets } from '@promptmill/core';

const localPresets = new Set(Object.keys(presets).filter((name) => presets[name]?.isLocal));

const presetText = (name: string): string => {
  const preset = presets[name];
  const place = preset?.baseUrl === undefined ? `, and where it is: ${baseUrlEnvOf(name)}` : '';
  const needs = localPresets.has(name) ? `runs at ${preset?.baseUrl}` : `its key: ${preset?.apiKeyEnv}${place}`;
  return `
  ${name}: # ${needs}
    timeoutMs: 120000 # longest time of one call
    # concurrency: 50 # calls in flight, all workers together. Without it the provider's answers decide
    # requestsPerMinute: 480
    # tokensPerMinute: 2000000 # input and output
    # models: # models with limits of their own never hold up the others
    #   name-of-a-model: { concurrency: 10, requestsPerMinute: 120 }
`;
};

/**
 * A `promptmill.yaml` for some presets. What is commented out says what else there is, in the same place: without its `# `
 * each such line is a setting.
 *
 * @param names of presets, at least one.
 */
export const configText = (names: readonly string[]): string => `# Promptmill's configuration: limits and fallbacks.
# Keys are never written here: they stay in the environment. Every option with its unit and default:
# examples/promptmill.yaml. A saved change of limits takes effect while Promptmill runs; promptmill doctor checks the rest.
providers:${names.map(presetText).join('')}
  # Any OpenAI-compatible endpoint; its models are lab/NAME.
  # lab:
  #   baseUrl: http://10.0.0.12:8000/v1
  #   apiKeyEnv: LAB_API_KEY

# The provider of a model that names none.
defaultProvider: ${names[0]}

# How often a request is called again after an error that may pass.
retry:
  attempts: 6 # calls, the first included
  baseDelayMs: 1000 # longest pause before the second; it doubles from there
  maxDelayMs: 60000

# What each tenant, the owner of an API key, may use. What a tenant does not set is as in default.
# tenants:
#   default:
#     activeBatches: 50
#     concurrency: 20 # calls in flight
#     requestsPerMinute: 600
#     usdPerDay: 20 # it needs known prices
`;
