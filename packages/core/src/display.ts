/** What the command line and the page in a browser share. It needs neither Node nor a library. */
export * from './batch-status.ts';
export * from './format.ts';
export * from './rate-meter.ts';
