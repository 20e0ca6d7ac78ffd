export interface Measured {
  /** For how long at most the event loop was blocked since the last measurement, in milliseconds. */
  readonly blockedMs: number;
  /** What the process takes now. */
  readonly memoryBytes: number;
}

/**
 * Loaded into a process with `--import`, it measures the event loop, and tells its parent when that sends a message. Time
 * in which other processes had the processor does not count.
 */
let blockedMs = 0;
let last = { atMs: performance.now(), cpu: process.threadCpuUsage() };

setInterval(() => {
  const { user, system } = process.threadCpuUsage(last.cpu);
  blockedMs = Math.max(blockedMs, Math.min(performance.now() - last.atMs, (user + system) / 1000));
  last = { atMs: performance.now(), cpu: process.threadCpuUsage() };
}, 1).unref();

process.on('message', () => {
  const measured: Measured = { blockedMs, memoryBytes: process.memoryUsage.rss() };
  process.send?.(measured);
  blockedMs = 0;
});
process.channel?.unref();
