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
  watchConfig,
} from '@promptmill/runtime';
import { startApi } from './start-api.ts';

keepHeapSmall();
const config = loadConfig(process.env);
const logger = createLogger({ level: config.logLevel, role: 'api' });
const metrics = createMetrics('api');
const tracing = await openTracing({ config: config.tracing, service: 'promptmill-api', logger });
const life = createLifecycle(logger);
runUntilSignal(life, { logger, graceMs: config.graceMs + 10_000 });

const files = await openFileStore(config.store);
const api = await startApi({
  config,
  files,
  logger,
  metrics,
  tracing,
  passFailPoint: createFailPoints(config.failPoint),
});
const load = () => loadConfig(process.env);
const onChange = async ({ tenants, webhooks }: typeof config) => {
  api.setTenants(tenants);
  api.setWebhooks(webhooks);
};
const watch = watchConfig(config.configFile, { load, logger, onChange });
life.add('configuration', () => watch.close());
life.add('api', () => api.close());
life.add('traces', () => tracing.close());
