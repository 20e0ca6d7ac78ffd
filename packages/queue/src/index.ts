export * from './batch-store.ts';
export type { Page } from './created-index.ts';
export * from './file-records.ts';
export * from './keys.ts';
export * from './lane-control.ts';
export * from './lane-turns.ts';
export * from './queues.ts';
export * from './redis.ts';
export * from './results.ts';
