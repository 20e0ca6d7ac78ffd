export { startSimulator, type Simulator, type SimulatorOptions } from './simulator.ts';
export { BehaviourError, type Behaviour, type FaultRates } from './behaviour.ts';
export type { BatchRules } from './batches/batch-rules.ts';
export type { CallLogEntry } from './call-log.ts';
export type { CallStats } from './call-stats.ts';
export type { FaultName } from './faults.ts';
export type { Latency } from './latency.ts';
export type { Limits } from './rate-limiter.ts';
