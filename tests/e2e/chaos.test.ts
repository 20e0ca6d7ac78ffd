import { expect, it } from 'vitest';
import { formatReport } from '../chaos/report.ts';
import { runChaos } from '../chaos/run-chaos.ts';

/** A short `pnpm test:chaos`, with a seed that gives faults of most kinds. */
it('loses nothing, repeats nothing and counts right under faults', async () => {
  const report = await runChaos({
    seed: 360,
    seconds: 22,
    requests: 1500,
    concurrency: 5,
    latencyMs: 80,
    drainSeconds: 60,
    // Two other test files may run beside it.
    maxRecoverySeconds: 20,
  });
  if (report.problems.length > 0) throw new Error(formatReport(report));
  expect(report.faults.length).toBeGreaterThan(4);
});
