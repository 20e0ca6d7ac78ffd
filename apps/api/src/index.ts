export { type RunningApi, startApi, type StartApiOptions } from './start-api.ts';
export type { ApiConfig } from './api-config.ts';
