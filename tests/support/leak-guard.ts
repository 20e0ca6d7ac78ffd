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

/** A test file must close what it opens: a socket, server, child process or timer left behind fails it. */
afterAll(async () => {
  const deadline = performance.now() + settleMs;
  // Sockets that have been told to close take a turn of the event loop or two.
  while (more(before).length > 0 && performance.now() < deadline)
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  const leaked = more(before);
  if (leaked.length > 0) throw new Error(`this test file leaks: ${leaked.join(', ')}`);
});
