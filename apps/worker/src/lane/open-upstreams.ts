import { type Deployment, type Lane, lacksKey, missingKeyOf, type Provider } from '@promptmill/core';
import type { ProviderClient } from '@promptmill/provider';
import { createLaneControl, type Keys, type LaneControl, type RedisConnection } from '@promptmill/queue';
import type { Logger, Metrics } from '@promptmill/runtime';
import type { CallTarget } from '../call-target.ts';
import type { LaneGateOptions } from './lane-gate.ts';
import { createNeutralLook } from './neutral-look.ts';

export interface OpenUpstreamsOptions {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  /** A name that no other process has. */
  readonly process: string;
  /** Calls in flight at the start, where the limits set none. */
  readonly startWidth: number;
  readonly clientOf: (provider: Provider) => ProviderClient;
  readonly giveUp: AbortSignal;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'laneHolds'>;
  readonly onError: (error: unknown) => void;
}

/** Opens the upstreams of a lane: one for each deployment whose key is here, else one for the provider. */
export const openUpstreams = async (lane: Lane, options: OpenUpstreamsOptions) => {
  const { connection, keys, process, startWidth, clientOf, giveUp, logger, metrics, onError } = options;
  const laneControl = createLaneControl(connection, keys, lane.name);
  const deployments = new Map(
    lane.deployments.map(({ name }) => [
      name,
      createLaneControl(connection, keys, name, { name: process, lane: laneControl }),
    ]),
  );
  const controls: readonly LaneControl[] = [laneControl, ...deployments.values()];
  const targets = new Map<string, CallTarget>();

  const setLimits = async ({ limits, provider, deployments: changed }: Lane): Promise<void> => {
    const { probeIntervalMs } = provider;
    const hasKey = missingKeyOf({ provider, deployments: changed }) === undefined;
    await laneControl.setLimits({ limits, startWidth, probeIntervalMs, hasKey });
    for (const { name, limits: own, provider: target } of changed)
      await deployments.get(name)?.setLimits({ limits: own, startWidth, probeIntervalMs, hasKey: !lacksKey(target) });
  };

  const openUpstream = (
    control: LaneControl,
    provider: Provider,
    deployment?: Deployment,
  ): LaneGateOptions['upstreams'][number] => {
    const name = deployment?.name ?? lane.name;
    const client = clientOf(provider);
    targets.set(name, { provider, client, model: deployment?.model, deployment: deployment?.name });
    const labels = { lane: lane.name, ...(deployment ? { deployment: deployment.name } : {}) };
    const onHold = (reason: string, heldUntilMs: number): void => {
      metrics.laneHolds.inc(labels);
      logger.warn({ ...labels, reason, until: new Date(heldUntilMs).toISOString() }, 'lane held');
    };
    return {
      name,
      control,
      isDeployment: deployment !== undefined,
      look: createNeutralLook({ client, control, onHold, onError, giveUp }),
      timeoutMs: provider.timeoutMs,
      onHold,
    };
  };

  // What deployments that are no more could have in flight counts no longer.
  const known = deployments.size > 0 ? await connection.hkeys(keys.laneWidths(lane.name)) : [];
  const gone = known.filter((name) => !deployments.has(name));
  if (gone.length > 0) await connection.hdel(keys.laneWidths(lane.name), ...gone);
  await setLimits(lane);
  const withKey = lane.deployments.filter(({ provider }) => !lacksKey(provider));
  // Where no key is here, calls fail, and say which variable is missing.
  const open = withKey.length > 0 ? withKey : lane.deployments;
  const upstreams = open.flatMap((deployment) => {
    const control = deployments.get(deployment.name);
    return control ? [openUpstream(control, deployment.provider, deployment)] : [];
  });
  return {
    upstreams: upstreams.length > 0 ? upstreams : [openUpstream(laneControl, lane.provider)],
    setLimits,
    /** Sets the limits again after a lost connection: Redis may have lost them. */
    async restoreLimits(): Promise<void> {
      for (const control of controls) await control.restoreLimits();
    },
    limitsTokens: (): boolean => controls.some((control) => control.limitsTokens()),
    /** Takes a retry from the budget of any of them. 0, or the milliseconds after which to ask again. */
    async takeRetry(): Promise<number> {
      const [first = laneControl, ...others] = deployments.values();
      let waitMs = await first.takeRetry();
      for (const control of others) if (waitMs > 0) waitMs = Math.min(waitMs, await control.takeRetry());
      return waitMs;
    },
    /** Where calls to an upstream go. */
    targetOf: (upstream: string): CallTarget => {
      const target = targets.get(upstream);
      if (!target) throw new Error(`the lane ${lane.name} has no upstream ${upstream}`);
      return target;
    },
  };
};
