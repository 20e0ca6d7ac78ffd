import { defineConfig } from 'vitest/config';

/** What a test waits for comes when it comes, on a busy machine too; vitest gives it a second. */
const expect = { poll: { timeout: 15_000 } };

const integration = {
  expect,
  globalSetup: ['tests/support/redis-setup.ts', 'tests/support/build-setup.ts'],
  setupFiles: ['tests/support/leak-guard.ts'],
  testTimeout: 60_000,
  hookTimeout: 120_000,
};

/** Whole suites that only `npm run test:long` and `test:cluster` have. */
const long =
  process.env['TEST_LONG'] === '1' || process.env['TEST_REDIS_CLUSTER'] === '1'
    ? []
    : [
        'tests/e2e/{backup,cluster,copies,full-disk,hand-off-strict,held-lane,keep-and-sweep,live-held-lane,live-outage,long-call,no-collector,package,poison,redis-tls,retry,rolling-restart,s3,sentinel,stopped-worker,third-party-mock}.test.ts',
      ];

export default defineConfig({
  test: {
    // Two cores, and tests that for a good part wait: for a lock to run out, for a process to be back.
    maxWorkers: 4,
    projects: [
      {
        test: {
          name: 'unit',
          // They share nothing but modules, which are loaded once for all.
          isolate: false,
          expect,
          testTimeout: 60_000,
          include: ['{apps,packages,tests}/*/src/**/*.test.ts', 'tests/{chart,support,chaos}/*.test.ts'],
        },
      },
      { test: { ...integration, name: 'integration', include: ['{apps,packages}/*/test/**/*.test.ts'] } },
      {
        test: {
          ...integration,
          name: 'e2e',
          include: ['tests/{browser,e2e,security}/**/*.test.ts'],
          exclude: long,
          testTimeout: 120_000,
        },
      },
      {
        test: {
          ...integration,
          name: 'upgrade',
          include: ['tests/upgrade/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          name: 'compose',
          expect,
          include: ['tests/compose/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
});
