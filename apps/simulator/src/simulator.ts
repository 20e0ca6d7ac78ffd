import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { ApiError, createRandom } from '@promptmill/core';
import { createDiskStore } from '@promptmill/files';
import { errorForStatus } from './api-error.ts';
import { openBatchApi } from './batches/batch-api.ts';
import { changeBehaviour, defaultBehaviour, type Behaviour } from './behaviour.ts';
import { createCallCounter } from './call-counter.ts';
import { openCallLog } from './call-log.ts';
import { createCallStats, type CallStats } from './call-stats.ts';
import { failCall } from './finish-call.ts';
import { createCallHandler } from './handle-call.ts';
import { openCall } from './open-call.ts';
import { createCallPlanner } from './plan-call.ts';
import { createPromptCache } from './prompt-cache.ts';
import { createRateLimiter } from './rate-limiter.ts';
import { callRoutes, createPlainRoutes } from './routes.ts';
import { sendError, type Headers } from './send-answer.ts';

export interface SimulatorOptions extends Partial<Behaviour> {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Decides the latencies and the random faults, in order of arrival. Answers do not depend on it. Default 1. */
  readonly seed?: number;
  /** When set, everything under `/v1` requires it as the bearer token. */
  readonly apiKey?: string;
  /** A JSONL file to append a line to for each call, see `CallLogEntry`. Default: none. */
  readonly callLogPath?: string;
  /**
   * Where the batch API keeps its files and batches; a simulator that starts with the same folder goes on with them.
   * Default: a folder that is removed at the end.
   */
  readonly stateDirectory?: string;
  /** A longer request body is answered 413. Default 32 MiB. */
  readonly maxBodyBytes?: number;
  /** Whether this machine may see and change the behaviour at `/control`. Default false: there is no such path. */
  readonly control?: boolean;
}

export interface Simulator {
  /** The provider's base URL, such as `http://127.0.0.1:8089/v1`. */
  readonly url: string;
  readonly port: number;
  stats(): CallStats;
  /**
   * Replaces parts of the behaviour, for calls that have not been planned yet.
   * @throws BehaviourError with code `invalid_behaviour`; nothing has changed then.
   */
  configure(change: Partial<Behaviour>): void;
  /** Cuts off the calls in flight, logs them as aborted, and resolves when the call log is written. */
  close(): Promise<void>;
}

/** Most keys, and prompts with markers, whose calls are counted. */
const countedCalls = 100_000;
/** Most starts of prompts that are cached. */
const cachedStarts = 10_000;

/**
 * Starts an OpenAI-compatible provider that answers without a model.
 * @throws BehaviourError for options that make no sense; a system error when the port or the log cannot be opened.
 */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const {
    host = '127.0.0.1',
    port = 0,
    seed = 1,
    apiKey,
    callLogPath,
    stateDirectory,
    maxBodyBytes = 32 * 2 ** 20,
    control,
    ...rest
  } = options;
  let behaviour = changeBehaviour(defaultBehaviour, rest);
  const limiter = createRateLimiter(behaviour.limits, () => performance.now());
  const stats = createCallStats();
  const callLog = callLogPath === undefined ? undefined : await openCallLog(callLogPath);

  function configure(change: unknown): Behaviour {
    behaviour = changeBehaviour(behaviour, change);
    limiter.configure(behaviour.limits);
    return behaviour;
  }

  const planCall = createCallPlanner({ counter: createCallCounter(countedCalls), random: createRandom(seed) });
  const directory = stateDirectory ?? join(tmpdir(), `promptmill-simulator-${randomUUID()}`);
  const batchApi = await openBatchApi({
    store: createDiskStore({ directory }),
    behaviour: () => behaviour,
    answers: callRoutes,
    planCall,
    random: createRandom(seed),
    callLog,
    now: Date.now,
  });

  const openCallDeps = { stats, callLog, epochMs: Date.now, release: limiter.release };
  const handleCall = createCallHandler({
    behaviour: () => behaviour,
    limiter,
    planCall,
    promptCache: createPromptCache(cachedStarts),
    stats,
    random: createRandom(seed),
    maxBodyBytes,
  });
  const plainRoutes = createPlainRoutes({ stats: stats.read, configure, control: control === true });
  const isAuthorized = ({ headers }: IncomingMessage) =>
    apiKey === undefined || headers.authorization === `Bearer ${apiKey}`;
  const idPrefix = randomBytes(9).toString('hex');
  let answered = 0;

  function route(request: IncomingMessage, response: ServerResponse): void {
    const id = `${idPrefix}${(answered++).toString(36).padStart(6, '0')}`;
    const baseHeaders = (): Headers => ({ 'x-request-id': `req_${id}`, ...limiter.headers() });
    const method = request.method ?? '';
    const [path = ''] = (request.url ?? '').split('?', 1);
    const prepareAnswer = method === 'POST' ? callRoutes[path] : undefined;
    if (prepareAnswer) {
      const call = openCall(openCallDeps, { id, path, request, response, baseHeaders });
      if (isAuthorized(request)) handleCall(call, prepareAnswer);
      else failCall(call, errorForStatus(401));
      return;
    }
    const plainRoute = plainRoutes[`${method} ${path}`];
    if (path.startsWith('/v1') && !isAuthorized(request)) sendError(response, errorForStatus(401), baseHeaders());
    else if (plainRoute) plainRoute(request, response, baseHeaders());
    else if (!batchApi.handle(request, response, baseHeaders()))
      sendError(response, new ApiError(404, `Invalid URL (${method} ${path})`), baseHeaders());
  }

  // Longer than any client keeps an idle connection, so that the simulator never closes one first.
  const server = createServer({ keepAliveTimeout: 120_000 }, route);
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  const hostInUrl = address.family === 'IPv6' ? `[${address.address}]` : address.address;

  async function close(): Promise<void> {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
    // The responses that were cut off close a moment after the server, and only then log their calls.
    while (stats.read().inFlight > 0) await setImmediate();
    await batchApi.close();
    if (stateDirectory === undefined) await rm(directory, { recursive: true, force: true });
    await callLog?.close();
  }

  let closing: Promise<void> | undefined;
  return {
    url: `http://${hostInUrl}:${address.port}/v1`,
    port: address.port,
    stats: stats.read,
    configure: (change) => void configure(change),
    close: () => (closing ??= close()),
  };
}
