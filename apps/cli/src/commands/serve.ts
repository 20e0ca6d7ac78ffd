import { once } from 'node:events';
import { createLogger, loadConfig } from '@promptmill/runtime';
import type { CliContext } from '../context.ts';
import { startRedis } from '../roles/start-redis.ts';
import { startRoles } from '../roles/start-roles.ts';
import { describeSources } from '../roles/describe-sources.ts';
import { plannedSimulatorUrl, startOwnSimulator } from '../roles/start-simulator.ts';

/** Runs all roles in this process until a signal. Logs go to standard output. */
export const serve = async (
  { simulator: withSimulator = false }: { readonly simulator?: boolean },
  { env, screen, stdout, signal }: CliContext,
): Promise<number> => {
  const { redisIsNamed, dataDirectory, logLevel } = loadConfig({
    ...env,
    ...(withSimulator ? { SIMULATOR_BASE_URL: plannedSimulatorUrl } : {}),
  });
  const logger = createLogger({ level: logLevel, role: 'serve', stream: stdout });
  await using stack = new AsyncDisposableStack();
  const started: Record<string, string> = {};
  if (!redisIsNamed) {
    const redis = await startRedis(dataDirectory, logger);
    stack.defer(() => redis.close());
    started['REDIS_URL'] = redis.url;
  }
  if (withSimulator) {
    const simulator = await startOwnSimulator(env);
    stack.defer(() => simulator.close());
    Object.assign(started, simulator.variables);
  }
  const config = loadConfig({ ...env, ...started });
  const roles = await startRoles({ config, logger });
  stack.defer(() => roles.close());
  screen.write(`${describeSources(config)}\n`);
  if (config.apiKeys.length === 0)
    screen.write(
      'warning: there are no API keys, so every user of this machine can use the api and the keys of its providers; ' +
        'set PROMPTMILL_API_KEYS=name:key, BOARD_USER and BOARD_PASSWORD\n',
    );
  screen.write(`Promptmill listens at ${roles.url}/v1, Bull Board at ${roles.url}/admin/queues\n`);

  if (!signal.aborted) await once(signal, 'abort');
  screen.write(`stopping: calls in flight get ${config.graceMs / 1000} s to end (a second signal ends them at once)\n`);
  return 0;
};
