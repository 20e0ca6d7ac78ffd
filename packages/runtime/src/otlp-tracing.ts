import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Context,
  diag,
  DiagLogLevel,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace as traceApi,
} from '@opentelemetry/api';
import { parseTraceParent, setGlobalErrorHandler } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  RandomIdGenerator,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Trace } from '@promptmill/core';
import { createErrorLog } from './error-log.ts';
import type { EndedSpan, OpenTracingOptions, Tracing, TracingConfig } from './tracing.ts';

/** Spans go out this often, or when there are 512. */
const sendEveryMs = 1000;
/** Spans that wait to be sent. Any more are dropped. */
const mostWaiting = 8192;
/** What a tenant chooses, such as the name of a model, is cut to this length. */
const mostCharacters = 256;
const closeMs = 3000;

const kinds = { internal: SpanKind.INTERNAL, server: SpanKind.SERVER, client: SpanKind.CLIENT };

const samplerOf = ({ sampler, ratio }: TracingConfig): Sampler => {
  const [, isParentBased, name] = /^(parentbased_)?(.*)$/.exec(sampler) ?? [];
  const roots = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratio),
  };
  const root = roots[name as keyof typeof roots]();
  return isParentBased ? new ParentBasedSampler({ root }) : root;
};

const under = (parent: SpanContext): Context => traceApi.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true });

/** Sends spans over OTLP/HTTP. Loaded only where traces are on. */
export const createOtlpTracing = ({
  config,
  service,
  logger,
}: OpenTracingOptions & { readonly config: TracingConfig }): Tracing => {
  const logError = createErrorLog(logger);
  const onError = (error: unknown): void => logError(error, 'traces');
  setGlobalErrorHandler(onError);
  const ignore = (): void => {};
  const log = { error: onError, warn: onError, info: ignore, debug: ignore, verbose: ignore };
  diag.setLogger(log, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });

  const random = new RandomIdGenerator();
  /** What the span that is made next is to be called. */
  let given: SpanContext | undefined;
  const provider = new TracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': service, 'service.instance.id': randomUUID() }))
      .merge(detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] })),
    sampler: samplerOf(config),
    idGenerator: {
      generateTraceId: () => given?.traceId ?? random.generateTraceId(),
      generateSpanId: () => given?.spanId ?? random.generateSpanId(),
    },
    spanLimits: { attributeValueLengthLimit: mostCharacters },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ url: `${config.endpoint.replace(/\/$/, '')}/v1/traces` }),
        scheduledDelayMillis: sendEveryMs,
        maxQueueSize: mostWaiting,
      }),
    ],
  });
  const tracer = provider.getTracer('promptmill');

  const send = ({ name, kind = 'internal', startedAtMs, endedAtMs, attributes, error }: EndedSpan, parent: Context) => {
    const span = tracer.startSpan(
      name.slice(0, mostCharacters),
      {
        kind: kinds[kind],
        // A number may count as milliseconds since the process began.
        startTime: new Date(startedAtMs),
        attributes: { ...attributes, 'error.type': error },
      },
      parent,
    );
    if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(new Date(endedAtMs));
  };

  return {
    isOn: true,

    begin(traceparent) {
      const caller = traceparent === undefined ? null : parseTraceParent(traceparent);
      // It only says which ids the span of the whole gets, and whether the trace is sampled. That span is sent at the end.
      const span = tracer.startSpan('begin', {}, caller ? under(caller) : ROOT_CONTEXT);
      if (!span.isRecording()) return undefined;
      const { traceId, spanId } = span.spanContext();
      return {
        traceparent: `00-${traceId}-${spanId}-01`,
        ...(caller ? { callerSpanId: caller.spanId } : {}),
        startedAtMs: Date.now(),
      };
    },

    step(traceparent, span) {
      const whole = parseTraceParent(traceparent);
      if (whole) send(span, under(whole));
    },

    end({ traceparent, callerSpanId, startedAtMs }: Trace, span) {
      const whole = parseTraceParent(traceparent);
      if (!whole) return;
      const parent = callerSpanId === undefined ? ROOT_CONTEXT : under({ ...whole, spanId: callerSpanId });
      given = whole;
      send({ ...span, startedAtMs }, parent);
      given = undefined;
    },

    async close() {
      await Promise.race([provider.shutdown().catch(onError), sleep(closeMs, undefined, { ref: false })]);
    },
  };
};
