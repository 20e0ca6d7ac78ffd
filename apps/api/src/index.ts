export { type RunningApi, startApi, type StartApiOptions } from './start-api.ts';
export type { ApiConfig } from './dependencies.ts';
