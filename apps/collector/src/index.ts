export { type RunningCollector, startCollector, type StartCollectorOptions } from './start-collector.ts';
