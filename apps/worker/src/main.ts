import { isLoopback } from '@promptmill/core';
import { openFileStore } from '@promptmill/files';
import {
  createFailPoints,
  createLifecycle,
  createLogger,
  createMetrics,
  keepHeapSmall,
  loadConfig,
  openTracing,
  runUntilSignal,
  startHealthServer,
  watchConfig,
} from '@promptmill/runtime';
import { startWorker } from './start-worker.ts';

keepHeapSmall();
const config = loadConfig(process.env);
const logger = createLogger({ level: config.logLevel, role: 'worker' });
const metrics = createMetrics('worker');
const tracing = await openTracing({ config: config.tracing, service: 'promptmill-worker', logger });
const life = createLifecycle(logger);
runUntilSignal(life, { logger, graceMs: config.graceMs + 10_000 });

const worker = await startWorker({
  config,
  openFiles: () => openFileStore(config.store),
  logger,
  metrics,
  tracing,
  passFailPoint: createFailPoints(config.failPoint),
});
const load = () => loadConfig(process.env);
const watch = watchConfig(config.configFile, { load, logger, onChange: (changed) => worker.setLimits(changed) });
life.add('configuration', () => watch.close());
life.add('worker', () => worker.close());
life.add('traces', () => tracing.close());
if (config.healthPort !== undefined) {
  const { host, healthPort: port, metricsToken } = config;
  // What tenants spend is not for everyone who reaches the port.
  const shown = metricsToken !== undefined || isLoopback(host) ? metrics.withSpending : metrics.registry;
  const health = await startHealthServer({ port, host, ready: () => worker.ready(), metrics: shown, metricsToken });
  life.add('health server', () => health.close());
}
