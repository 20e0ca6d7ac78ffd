import { startSimulator, type Simulator, type SimulatorOptions } from '@promptmill/simulator';
import type { CliContext } from '../context.ts';

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

/** Starts the simulator, a provider that answers without a model, in this process. */
export const startOwnSimulator = (env: CliContext['env']): Promise<Simulator> => startSimulator(optionsOf(env));
