import { expect, test } from 'vitest';
import { readEnvironment } from './environment.ts';

test('without variables only the port is set', () => {
  expect(readEnvironment({ HOST: '' })).toEqual({ port: 8089, limits: {}, batchApi: {} });
});

test('every variable has its option', () => {
  const options = readEnvironment({
    PORT: '9000',
    HOST: '0.0.0.0',
    SIMULATOR_LATENCY_MS: '200',
    SIMULATOR_LATENCY_SIGMA: '0.5',
    SIMULATOR_CHUNK_DELAY_MS: '20',
    SIMULATOR_SEED: '7',
    SIMULATOR_ERROR_RATE: '0.1',
    SIMULATOR_FAULTS: 'hang=0.01, 503=0.02',
    SIMULATOR_REQUESTS_PER_MINUTE: '60',
    SIMULATOR_TOKENS_PER_MINUTE: '1000',
    SIMULATOR_MAX_IN_FLIGHT: '5',
    SIMULATOR_MAX_IN_FLIGHT_STATUS: '503',
    SIMULATOR_CALL_LOG: 'calls.jsonl',
    SIMULATOR_STATE_DIR: 'state',
    SIMULATOR_BATCH_PROCESSING_MS: '500',
    SIMULATOR_BATCH_ANSWERED_SHARE: '0.5',
    SIMULATOR_API_KEY: 'secret',
    SIMULATOR_CONTROL: 'true',
  });
  expect(options).toEqual({
    port: 9000,
    host: '0.0.0.0',
    latency: { kind: 'log-normal', medianMs: 200, sigma: 0.5 },
    chunkDelayMs: 20,
    seed: 7,
    errorRate: 0.1,
    faults: { hang: 0.01, '503': 0.02 },
    limits: { requestsPerMinute: 60, tokensPerMinute: 1000, maxInFlight: 5, maxInFlightStatus: 503 },
    callLogPath: 'calls.jsonl',
    stateDirectory: 'state',
    batchApi: { processingMs: 500, answeredShare: 0.5 },
    apiKey: 'secret',
    control: true,
  });
});

test('a latency without a sigma is fixed', () => {
  expect(readEnvironment({ SIMULATOR_LATENCY_MS: '50' }).latency).toEqual({ kind: 'fixed', ms: 50 });
});

test.each([{ PORT: 'http' }, { SIMULATOR_FAULTS: 'hang' }, { SIMULATOR_ERROR_RATE: ' ' }])(
  '%j is refused',
  (variables) => {
    expect(() => readEnvironment(variables)).toThrow(expect.objectContaining({ code: 'invalid_behaviour' }));
  },
);
