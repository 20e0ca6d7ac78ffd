import type { Environment } from '@promptmill/core';
import type { BatchRules } from './batches/batch-rules.ts';
import { BehaviourError, type FaultRates } from './behaviour.ts';
import type { Latency } from './latency.ts';
import type { Limits } from './rate-limiter.ts';
import type { SimulatorOptions } from './simulator.ts';

/** The port of a simulator that runs as a process of its own. */
const defaultPort = 8089;

/**
 * Options from `PORT`, `HOST` and the `SIMULATOR_*` variables; an empty variable counts as unset.
 * @throws BehaviourError when the value of a number is not one.
 */
export function readEnvironment(environment: Environment): SimulatorOptions {
  const text = (name: string) => environment[name] || undefined;
  const number = (name: string) => {
    const value = text(name);
    return value === undefined ? undefined : toNumber(name, value);
  };
  const faults = text('SIMULATOR_FAULTS');
  return {
    port: number('PORT') ?? defaultPort,
    ...defined({
      host: text('HOST'),
      seed: number('SIMULATOR_SEED'),
      apiKey: text('SIMULATOR_API_KEY'),
      callLogPath: text('SIMULATOR_CALL_LOG'),
      stateDirectory: text('SIMULATOR_STATE_DIR'),
      control: text('SIMULATOR_CONTROL') === 'true' ? true : undefined,
      chunkDelayMs: number('SIMULATOR_CHUNK_DELAY_MS'),
      errorRate: number('SIMULATOR_ERROR_RATE'),
      latency: readLatency(number('SIMULATOR_LATENCY_MS'), number('SIMULATOR_LATENCY_SIGMA')),
      faults: faults === undefined ? undefined : readFaultRates(faults),
      limits: defined({
        requestsPerMinute: number('SIMULATOR_REQUESTS_PER_MINUTE'),
        tokensPerMinute: number('SIMULATOR_TOKENS_PER_MINUTE'),
        maxInFlight: number('SIMULATOR_MAX_IN_FLIGHT'),
        maxInFlightStatus: number('SIMULATOR_MAX_IN_FLIGHT_STATUS'),
      }) satisfies Limits,
      batchApi: defined({
        validatingMs: number('SIMULATOR_BATCH_VALIDATING_MS'),
        processingMs: number('SIMULATOR_BATCH_PROCESSING_MS'),
        finalizingMs: number('SIMULATOR_BATCH_FINALIZING_MS'),
        cancellingMs: number('SIMULATOR_BATCH_CANCELLING_MS'),
        windowMs: number('SIMULATOR_BATCH_WINDOW_MS'),
        answeredShare: number('SIMULATOR_BATCH_ANSWERED_SHARE'),
        maxLines: number('SIMULATOR_BATCH_MAX_LINES'),
        maxBytes: number('SIMULATOR_BATCH_MAX_BYTES'),
        maxEnqueuedTokens: number('SIMULATOR_BATCH_MAX_ENQUEUED_TOKENS'),
        lostAnswers: number('SIMULATOR_BATCH_LOST_ANSWERS'),
        priceShare: number('SIMULATOR_BATCH_PRICE_SHARE'),
      }) satisfies Partial<BatchRules>,
    }),
  };
}

/**
 * `SIMULATOR_LATENCY_MS` alone is a fixed latency. With `SIMULATOR_LATENCY_SIGMA` it is the median of a log-normal one.
 */
function readLatency(ms: number | undefined, sigma: number | undefined): Latency | undefined {
  if (ms === undefined) return undefined;
  return sigma === undefined ? { kind: 'fixed', ms } : { kind: 'log-normal', medianMs: ms, sigma };
}

/** Reads `hang=0.01,html=0.02,503=0.05`; the names are checked with the rest of the behaviour. */
function readFaultRates(text: string): FaultRates {
  return Object.fromEntries(
    text.split(',').map((entry) => {
      const [name = '', share = ''] = entry.split('=');
      return [name.trim(), toNumber(`SIMULATOR_FAULTS, ${name.trim()}`, share)];
    }),
  );
}

function toNumber(name: string, text: string): number {
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number)) throw new BehaviourError(`${name} is not a number: '${text}'.`);
  return number;
}

type Defined<Source> = { [Key in keyof Source]?: Exclude<Source[Key], undefined> };

function defined<Source extends object>(source: Source): Defined<Source> {
  return Object.fromEntries(Object.entries(source).filter(([, value]) => value !== undefined)) as Defined<Source>;
}
