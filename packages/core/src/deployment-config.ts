import { z } from 'zod';
import { type Destination, type DestinationConfig, destinationOptions } from './destination.ts';
import { buildLimits, type LaneLimits, limitOptions } from './lane-limits.ts';

/** What a provider or a deployment may be named. */
export const nameRule = /^[a-z0-9][a-z0-9-]*$/;

const deployment = z.strictObject({ ...limitOptions, ...destinationOptions });
const modelDeployment = deployment.extend({
  /** Its own name for the model. */
  model: z.string().min(1).optional(),
});
type GivenDeployments = Readonly<Record<string, z.infer<typeof modelDeployment>>>;

const record = <Given extends z.ZodType>(given: Given) =>
  z
    .record(z.string().regex(nameRule), given)
    .refine((deployments) => Object.keys(deployments).length > 0, { error: 'it must name a deployment' });

/** The deployments of a provider, as the configuration writes them, by name. */
export const deploymentsConfig = record(deployment);
/** Those of a model. What one of them does not say of its base URL and key is as the provider's of that name says. */
export const modelDeploymentsConfig = record(modelDeployment);

/** What the configuration says about one of several keys or endpoints that share the calls of a lane. */
export interface DeploymentConfig extends Destination {
  readonly name: string;
  /** Its own limits. */
  readonly limits: LaneLimits;
  /** Its own name for the model, instead of the one by which the lane knows it. */
  readonly model?: string;
}

interface DeploymentsOf {
  /** The provider or model in the configuration, for messages. */
  readonly path: string;
  readonly provider: DestinationConfig & { readonly deployments?: GivenDeployments | undefined };
  readonly build: (path: string, config: DestinationConfig) => Destination;
}

export const buildDeployments = (
  given: GivenDeployments = {},
  { path, provider, build }: DeploymentsOf,
): DeploymentConfig[] =>
  Object.entries(given).map(([name, { model, baseUrl, apiKeyEnv, ...limits }]) => {
    const known = provider.deployments?.[name];
    const destination = build(`${path}.deployments.${name}`, {
      baseUrl: baseUrl ?? known?.baseUrl ?? provider.baseUrl,
      apiKeyEnv: apiKeyEnv ?? known?.apiKeyEnv ?? provider.apiKeyEnv,
    });
    return Object.assign({ name, limits: buildLimits(limits) }, destination, model === undefined ? {} : { model });
  });
