import { randomBytes } from 'node:crypto';
import { startSimulator, type Simulator, type SimulatorOptions } from '@promptmill/simulator';
import type { CliContext } from '../context.ts';

/** Where a simulator would run beside Promptmill: until one has started, its models have a provider. */
export const plannedSimulatorUrl = 'http://127.0.0.1:8089/v1';

const optionsOf = (env: CliContext['env']): SimulatorOptions => {
  const latencyMs = env['SIMULATOR_LATENCY_MS'];
  const chunkDelayMs = env['SIMULATOR_CHUNK_DELAY_MS'];
  const callLogPath = env['SIMULATOR_CALL_LOG'];
  return {
    ...(latencyMs ? { latency: { kind: 'fixed', ms: Number(latencyMs) } } : {}),
    ...(chunkDelayMs ? { chunkDelayMs: Number(chunkDelayMs) } : {}),
    ...(callLogPath ? { callLogPath } : {}),
  };
};

/**
 * Starts the simulator, a provider that answers without a model, in this process. It wants a key, so that other users
 * of the machine cannot use it.
 *
 * @returns the simulator, and the variables with which Promptmill finds it.
 */
export const startOwnSimulator = async (
  env: CliContext['env'],
): Promise<Simulator & { readonly variables: Readonly<Record<string, string>> }> => {
  const apiKey = randomBytes(24).toString('base64url');
  const simulator = await startSimulator({ ...optionsOf(env), apiKey });
  return { ...simulator, variables: { SIMULATOR_BASE_URL: simulator.url, SIMULATOR_API_KEY: apiKey } };
};
