import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { createSpending } from './spending.ts';

/** What `/metrics` shows. */
export type MetricsText = Pick<Registry, 'metrics' | 'contentType'>;

/** The metrics of one role: Node's own, and Promptmill's. Label sets are small and fixed. */
export const createMetrics = (role: string) => {
  const registry = new Registry();
  registry.setDefaultLabels({ role });
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const spendingRegistry = new Registry();
  spendingRegistry.setDefaultLabels({ role });
  const { contentType } = registry;
  const readAll = async (): Promise<string> => `${await registry.metrics()}\n${await spendingRegistry.metrics()}`;
  return {
    registry,
    /** With what tenants use and spend, which a tenant must not read. */
    withSpending: { contentType, metrics: readAll } satisfies MetricsText,
    spending: createSpending(spendingRegistry),
    calls: new Counter({
      name: 'promptmill_calls_total',
      help: 'Calls to providers; class is success, aborted or the class of the failure; deployment is set in a lane that has any',
      labelNames: ['lane', 'class', 'deployment'] as const,
      registers,
    }),
    callDuration: new Histogram({
      name: 'promptmill_call_duration_seconds',
      help: 'Time a call to a provider took',
      labelNames: ['lane'] as const,
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
      registers,
    }),
    results: new Counter({
      name: 'promptmill_results_total',
      help: 'Results recorded',
      labelNames: ['outcome'] as const,
      registers,
    }),
    segments: new Counter({ name: 'promptmill_segments_total', help: 'Segments written', registers }),
    dispatched: new Counter({
      name: 'promptmill_dispatched_total',
      help: 'Requests put into the lanes as jobs',
      registers,
    }),
    fallbacks: new Counter({
      name: 'promptmill_fallbacks_total',
      help: 'Requests that went from a lane to that of a fallback',
      labelNames: ['lane'] as const,
      registers,
    }),
    laneRequests: new Gauge({
      name: 'promptmill_lane_requests',
      help: 'Requests of a lane, all workers together; state is in_flight, waiting or allowed (how many may be in flight); live_in_flight and live_waiting are the live calls among them',
      labelNames: ['lane', 'state'] as const,
      registers,
    }),
    laneHolds: new Counter({
      name: 'promptmill_lane_holds_total',
      help: 'Times a lane was held because of an answer, or one of its deployments; the log says which',
      labelNames: ['lane', 'deployment'] as const,
      registers,
    }),
    laneHeldSeconds: new Gauge({
      name: 'promptmill_lane_held_seconds',
      help: 'For how much longer a lane lets no call in; 0 while it is open',
      labelNames: ['lane'] as const,
      registers,
    }),
    liveCalls: new Counter({
      name: 'promptmill_live_calls_total',
      help: 'Live calls that have ended; outcome is answered, failed (by its deadline or its lane) or hung_up',
      labelNames: ['lane', 'outcome'] as const,
      registers,
    }),
    liveCallsWaiting: new Gauge({
      name: 'promptmill_live_calls_waiting',
      help: 'Live calls whose callers wait at this process',
      registers,
    }),
    liveWait: new Histogram({
      name: 'promptmill_live_wait_seconds',
      help: 'Time from the arrival of a live call to the beginning of the call to the provider that answered it',
      labelNames: ['lane'] as const,
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
      registers,
    }),
    webhookDeliveries: new Counter({
      name: 'promptmill_webhook_deliveries_total',
      help: 'Attempts to deliver an event; outcome is delivered, failed (it is tried again), dead (given up) or dropped (the webhook is gone)',
      labelNames: ['outcome'] as const,
      registers,
    }),
    webhookDeliveriesWaiting: new Gauge({
      name: 'promptmill_webhook_deliveries_waiting',
      help: 'Deliveries that are under way or wait for an attempt, all processes together',
      registers,
    }),
    httpRequests: new Counter({
      name: 'promptmill_http_requests_total',
      help: 'HTTP requests answered; route is the pattern, never the path',
      labelNames: ['method', 'route', 'status'] as const,
      registers,
    }),
  };
};

export type Metrics = ReturnType<typeof createMetrics>;
