import { once } from 'node:events';
import { createLogger, loadConfig, watchConfig } from '@promptmill/runtime';
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
  const { redisIsNamed, redisMaxmemory, dataDirectory, logLevel } = loadConfig({
    ...env,
    ...(withSimulator ? { SIMULATOR_BASE_URL: plannedSimulatorUrl } : {}),
  });
  const logger = createLogger({ level: logLevel, role: 'serve', stream: stdout });
  await using stack = new AsyncDisposableStack();
  const started: Record<string, string> = {};
  if (!redisIsNamed) {
    const redis = await startRedis({ dataDirectory, maxmemory: redisMaxmemory, logger });
    stack.defer(() => redis.close());
    started['REDIS_URL'] = redis.url;
  }
  if (withSimulator) {
    const simulator = await startOwnSimulator(env);
    stack.defer(() => simulator.close());
    Object.assign(started, simulator.variables);
  }
  const load = () => loadConfig({ ...env, ...started });
  const config = load();
  const roles = await startRoles({ config, logger });
  stack.defer(() => roles.close());
  const watch = watchConfig(config.configFile, { load, logger, onChange: (changed) => roles.applyChanges(changed) });
  stack.defer(() => watch.close());
  screen.write(`${describeSources(config)}\n`);
  if (roles.isKeyless())
    screen.write(
      'warning: there are no API keys, so every user of this machine can use the api and the keys of its providers; ' +
        'make one with: promptmill keys create --tenant local\n',
    );
  const hasBoard = config.board !== undefined || roles.isKeyless();
  const board = hasBoard ? `at ${roles.url}/admin/queues` : 'nowhere: set BOARD_USER and BOARD_PASSWORD to have it';
  screen.write(`Promptmill listens at ${roles.url}/v1, Bull Board ${board}\n`);

  if (!signal.aborted) await once(signal, 'abort');
  screen.write(`stopping: calls in flight get ${config.graceMs / 1000} s to end (a second signal ends them at once)\n`);
  return 0;
};
