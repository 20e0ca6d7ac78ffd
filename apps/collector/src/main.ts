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
} from '@promptmill/runtime';
import { startCollector } from './start-collector.ts';

keepHeapSmall();
const config = loadConfig(process.env);
const logger = createLogger({ level: config.logLevel, role: 'collector' });
const metrics = createMetrics('collector');
const tracing = await openTracing({ config: config.tracing, service: 'promptmill-collector', logger });
const life = createLifecycle(logger);
runUntilSignal(life, { logger, graceMs: config.graceMs + 10_000 });

const files = await openFileStore(config.store);
const collector = await startCollector({
  config,
  files,
  logger,
  metrics,
  tracing,
  passFailPoint: createFailPoints(config.failPoint),
});
life.add('collector', () => collector.close());
life.add('traces', () => tracing.close());
if (config.healthPort !== undefined) {
  const { host, healthPort: port, metricsToken } = config;
  const health = await startHealthServer({
    port,
    host,
    ready: () => collector.ready(),
    metrics: metrics.registry,
    metricsToken,
  });
  life.add('health server', () => health.close());
}
