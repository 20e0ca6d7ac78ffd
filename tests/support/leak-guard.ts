import { afterAll, beforeAll } from 'vitest';

const guarded = ['TCPSocketWrap', 'TCPServerWrap', 'ProcessWrap', 'Timeout'];
const settleMs = 2000;

const open = (): Record<string, number> => {
  const counts = Object.fromEntries(guarded.map((type) => [type, 0]));
  for (const type of process.getActiveResourcesInfo())
    if (guarded.includes(type)) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
};

const more = (before: Record<string, number>): string[] =>
  Object.entries(open())
    .filter(([type, count]) => count > (before[type] ?? 0))
    .map(([type, count]) => `${type}: ${count - (before[type] ?? 0)} left open`);

let before: Record<string, number> = {};

beforeAll(() => {
  before = open();
});

/** Fails a test file that leaves a socket, server, child process or timer open. */
afterAll(async () => {
  const deadline = performance.now() + settleMs;
  // A socket takes one or two turns of the event loop to close.
  while (more(before).length > 0 && performance.now() < deadline)
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  const leaked = more(before);
  if (leaked.length > 0) throw new Error(`this test file leaks: ${leaked.join(', ')}`);
});
