export { assertSafeToExpose, type Config, loadConfig, type LoadConfigOptions } from './config.ts';
export {
  type EmbeddedRedis,
  EmbeddedRedisError,
  type EmbeddedRedisErrorCode,
  type EmbeddedRedisOptions,
  findEmbeddedRedis,
  findRedis,
  startEmbeddedRedis,
} from './embedded-redis.ts';
export type { ApiKey } from './environment.ts';
export { createErrorLog, type ErrorLog } from './error-log.ts';
export { createFailPoints, noFailPoints, type PassFailPoint } from './fail-points.ts';
export { type HealthServer, type HealthServerOptions, startHealthServer } from './health-server.ts';
export { keepHeapSmall } from './keep-heap-small.ts';
export { createLifecycle, type Lifecycle } from './lifecycle.ts';
export { createLogger, type Logger, type LoggerOptions } from './logger.ts';
export { createMetrics, type Metrics } from './metrics.ts';
export { runUntilSignal, type RunUntilSignalOptions } from './run-until-signal.ts';
export { type EndedSpan, noTracing, openTracing, type Tracing, type TracingConfig } from './tracing.ts';
export { watchConfig, type WatchConfigOptions } from './watch-config.ts';
