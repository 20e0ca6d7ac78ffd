import type { Trace } from '@promptmill/core';
import type { Logger } from './logger.ts';

type SamplerName =
  | 'always_on'
  | 'always_off'
  | 'traceidratio'
  | 'parentbased_always_on'
  | 'parentbased_always_off'
  | 'parentbased_traceidratio';

export interface TracingConfig {
  /** An OTLP/HTTP server, without `/v1/traces`. */
  readonly endpoint: string;
  /** Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ */
  readonly sampler: SamplerName;
  /** The share of traces that a sampler by ratio takes, between 0 and 1. */
  readonly ratio: number;
}

/** A step that has ended. Its attributes never hold content: no prompt, no answer, no message of a provider. */
export interface EndedSpan {
  readonly name: string;
  /** Default: `internal`. */
  readonly kind?: 'internal' | 'server' | 'client';
  /** Unix milliseconds. */
  readonly startedAtMs: number;
  /** Unix milliseconds. */
  readonly endedAtMs: number;
  /** Those that are undefined are left out. */
  readonly attributes: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
  /** A code that says how the step failed. Absent: it did not. */
  readonly error?: string | undefined;
}

/**
 * Sends spans. A span is made when its step has ended, so none is held open. Nothing here fails, waits or throws: what
 * the collector of traces does not take is dropped.
 */
export interface Tracing {
  /** False: nothing is traced, and there is no need to ask. */
  readonly isOn: boolean;
  /**
   * Begins a trace, or goes on with that of a caller.
   *
   * @param traceparent the caller's header; one that is not valid counts as none
   * @returns undefined when the trace is not sampled
   */
  begin(traceparent: string | undefined): Trace | undefined;
  /** Sends the span of a step, under the span of the whole that `traceparent` names. */
  step(traceparent: string, span: EndedSpan): void;
  /** Sends the span of the whole. */
  end(trace: Trace, span: Omit<EndedSpan, 'startedAtMs'>): void;
  /** Sends what is left, for 3 s at most. */
  close(): Promise<void>;
}

export const noTracing: Tracing = {
  isOn: false,
  begin: () => undefined,
  step() {},
  end() {},
  async close() {},
};

export interface OpenTracingOptions {
  /** Undefined: nothing is traced, and nothing is loaded. */
  readonly config: TracingConfig | undefined;
  /** The `service.name`, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES gives one. */
  readonly service: string;
  readonly logger: Logger;
}

/** Opens OpenTelemetry's tracing, where it is configured. The exporter reads OTEL_EXPORTER_OTLP_HEADERS and the like itself. */
export const openTracing = async ({ config, service, logger }: OpenTracingOptions): Promise<Tracing> => {
  if (!config) return noTracing;
  const { createOtlpTracing } = await import('./otlp-tracing.ts');
  return createOtlpTracing({ config, service, logger });
};
